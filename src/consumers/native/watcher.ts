/** One open watch: sends the newest view, one write at a time, and keeps what was acknowledged. */
import type { OwnedBytes } from '../../domain/owned-bytes.ts';
import type { AcknowledgeOutcome } from '../../gen/secretresolver/v1/resolver_pb.ts';
import type { View } from '../../snapshot/views.ts';
import type { PeerConnection } from '../../socket/connections.ts';
import type { CallRefusal } from '../../socket/refusal.ts';
import { withholding } from '../environment.ts';

/** How many revisions after the one acknowledged a watcher may still acknowledge. */
const REMEMBERED_REVISIONS = 16;

/** What a watcher needs of its stream. */
export interface WatchStream {
  /** Hands one message to HTTP/2; `done` is called when the peer's flow control has let it out. */
  readonly write: (message: OwnedBytes, done: () => void) => void;
  readonly end: (refusal: CallRefusal | 'peer-gone') => void;
}

export interface WatcherOptions {
  readonly connection: PeerConnection;
  /** Names of the providers that it watches at this moment. */
  readonly providers: () => readonly string[];
  readonly stream: WatchStream;
  /** The newest view, or why there is none. */
  readonly view: () =>
    | { readonly view: View; readonly mountedAt: number }
    | { readonly refusal: CallRefusal };
  /** `lagMs` runs from the read that caused the view; undefined for the first, which was there before the watch. */
  readonly onServed: (view: View, lagMs: number | undefined) => void;
}

export class Watcher {
  readonly connection: PeerConnection;
  readonly providers: () => readonly string[];
  readonly sinceMs = Date.now();
  /** Revision last sent; 0 before the first. */
  servedRevision = 0n;
  servedLagMs = 0;
  acknowledgedRevision = 0n;
  acknowledgedOutcome: AcknowledgeOutcome = 0;
  acknowledgedLagMs = 0;
  readonly #options: WatcherOptions;
  readonly #sentAt = new Map<bigint, number>();
  #writing = false;
  #ended = false;
  readonly #resume = () => this.push();

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.connection = options.connection;
    this.providers = options.providers;
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
    const { view, mountedAt } = current;
    if (view.revision === this.servedRevision) return;
    const { unread } = this.connection.usage;
    // Held up and not refused: the watch goes on with the newest view once its UID has read what it was sent.
    if (unread.full) {
      unread.wait(this.#resume);
      return;
    }
    this.#writing = true;
    const first = this.servedRevision === 0n;
    this.servedRevision = view.revision;
    const now = performance.now();
    this.servedLagMs = now - mountedAt;
    this.#remember(view.revision, now);
    this.#options.stream.write(view.message, () => {
      this.#writing = false;
      this.push();
    });
    this.#options.onServed(view, first ? undefined : this.servedLagMs);
    // Sent first, to a new watch too: what its client holds, of this stream or one before, is withdrawn in any case.
    const withheld = withholding(view);
    if (withheld !== undefined) this.end(withheld);
  }

  /** Notes an acknowledgement; false where it says nothing new, or is of a revision that was never sent. */
  acknowledge(revision: bigint, outcome: AcknowledgeOutcome): boolean {
    const sentAt = this.#sentAt.get(revision);
    if (sentAt === undefined) return false;
    if (revision === this.acknowledgedRevision && outcome === this.acknowledgedOutcome) return false;
    this.acknowledgedRevision = revision;
    this.acknowledgedOutcome = outcome;
    this.acknowledgedLagMs = performance.now() - sentAt;
    return true;
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
    this.connection.usage.unread.forget(this.#resume);
  }

  #remember(revision: bigint, at: number): void {
    this.#sentAt.delete(revision);
    this.#sentAt.set(revision, at);
    if (this.#sentAt.size > REMEMBERED_REVISIONS) {
      const oldest = this.#sentAt.keys().next().value;
      if (oldest !== undefined) this.#sentAt.delete(oldest);
    }
  }
}
