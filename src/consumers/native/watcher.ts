/** One open watch: sends the newest view, one write at a time. */
import type { OwnedBytes } from '../../domain/owned-bytes.ts';
import type { View } from '../../snapshot/views.ts';
import type { PeerConnection } from '../../socket/connections.ts';
import type { CallRefusal } from '../../socket/refusal.ts';
import type { Acknowledgements } from '../acknowledgements.ts';
import { withholding } from '../environment.ts';

/** What a watcher needs of its stream. */
export interface WatchStream {
  /** Hands one message to HTTP/2; `done` is called when the peer's flow control has let it out. */
  readonly write: (message: OwnedBytes, done: () => void) => void;
  readonly end: (refusal: CallRefusal | 'peer-gone') => void;
}

export interface WatcherOptions {
  readonly connection: PeerConnection;
  readonly acknowledgements: Acknowledgements<bigint>;
  readonly stream: WatchStream;
  /** The newest view, or why there is none. */
  readonly view: () =>
    | { readonly view: View; readonly mountedAt: number }
    | { readonly refusal: CallRefusal };
  /** `correlation` ties the audit of it to that of its acknowledgement. */
  readonly onServed: (view: View, correlation: string) => void;
}

export class Watcher {
  readonly connection: PeerConnection;
  readonly acknowledgements: Acknowledgements<bigint>;
  readonly #options: WatcherOptions;
  #writing = false;
  #ended = false;
  readonly #resume = () => this.push();

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.connection = options.connection;
    this.acknowledgements = options.acknowledgements;
  }

  /** Sends the newest view unless it was sent already. While a write is under way nothing queues: the end of it calls again. */
  push(): void {
    if (this.#ended || this.#writing) return;
    // The descriptor of a peer that ended may live on in a child: it gets nothing more.
    if (this.connection.stillAllowed() !== undefined) {
      this.end('peer-gone');
      return;
    }
    const current = this.#options.view();
    if ('refusal' in current) {
      this.end(current.refusal);
      return;
    }
    const { view } = current;
    const { revision, credentials } = view;
    const before = this.acknowledgements.servedRevision;
    if (revision === before) return;
    const { unread } = this.connection.usage;
    // Held up and not refused: the watch goes on with the newest view once its UID has read what it was sent.
    if (unread.full) {
      unread.wait(this.#resume);
      return;
    }
    this.#writing = true;
    // The first was read before the watch began, which is no lag.
    const mountedAt = before === 0n ? undefined : current.mountedAt;
    const correlation = this.acknowledgements.sent(revision, { revision, mountedAt, credentials });
    this.#options.stream.write(view.message, () => {
      this.#writing = false;
      this.push();
    });
    this.#options.onServed(view, correlation);
    // Sent first, to a new watch too: what its client holds, of this stream or one before, is withdrawn in any case.
    const withheld = withholding(view);
    if (withheld !== undefined) this.end(withheld);
  }

  /** Ends the stream with a refusal. Safe to call twice. */
  end(refusal: CallRefusal | 'peer-gone'): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.stream.end(refusal);
  }

  /** Its stream is closed. */
  closed(): void {
    this.#ended = true;
    this.acknowledgements.closed();
    this.connection.usage.unread.forget(this.#resume);
  }
}
