/** What the watches of every consumer have in common: each sends the newest state, one write at a time. */
import type { OwnedBytes } from '../domain/owned-bytes.ts';
import type { AuditedCall } from '../observe/audit/audit.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { refuse } from '../socket/calls.ts';
import type { PeerConnection } from '../socket/connections.ts';
import type { MessageStream, Method } from '../socket/method.ts';
import { type CallRefusal, socketRefusal } from '../socket/refusal.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { ConsumerHost, OpenConsumer } from './consumer.ts';

export interface WatchOptions {
  readonly host: ConsumerHost;
  readonly call: AuditedCall;
  readonly connection: PeerConnection;
  readonly stream: MessageStream;
}

export abstract class Watch<Id> {
  abstract readonly acknowledgements: Acknowledgements<Id>;
  /** Whether it sends an empty state where there is no snapshot yet, and does not end. */
  protected readonly beginsEmpty: boolean = false;
  protected readonly options: WatchOptions;
  #writing = false;
  #ended = false;
  readonly #resume = () => this.push();

  constructor(options: WatchOptions) {
    this.options = options;
  }

  /** Sends what is new, if anything. */
  protected abstract send(snapshot: Snapshot | undefined): void;
  /** The process that connected no longer is the peer that was let in, or fits another rule or none. */
  protected abstract peerGone(): void;

  get ended(): boolean {
    return this.#ended;
  }

  /** Sends the newest state. While a write is under way nothing queues: the end of it calls again. */
  push(): void {
    if (this.#ended || this.#writing) return;
    const { connection, host } = this.options;
    // The descriptor of a peer that ended may live on in a child: it gets nothing more.
    if (connection.stillAllowed() !== undefined) {
      this.peerGone();
      return;
    }
    const current = host.state.snapshot();
    if ('refusal' in current && !(this.beginsEmpty && current.refusal.kind === 'not-ready')) {
      this.end(current.refusal);
      return;
    }
    const { unread } = connection.usage;
    // Held up and not refused: the watch goes on with the newest state once its UID has read what it was sent.
    if (unread.full) unread.wait(this.#resume);
    else this.send('snapshot' in current ? current.snapshot : undefined);
  }

  protected write(message: OwnedBytes): void {
    this.#writing = true;
    this.options.stream.write(message, () => {
      this.#writing = false;
      this.push();
    });
  }

  /** Ends the stream with a refusal. Safe to call twice. */
  end(refusal: CallRefusal): void {
    if (this.#ended) return;
    this.withdraw();
    this.options.stream.end(refusal);
  }

  /** From now on nothing is sent. Safe to call twice. */
  withdraw(): void {
    this.#ended = true;
  }

  /** Its stream is closed. */
  closed(): void {
    this.#ended = true;
    this.acknowledgements.closed();
    this.options.connection.usage.unread.forget(this.#resume);
  }
}

/** A consumer with watches. */
export abstract class WatchedConsumer<W extends Watch<unknown>> implements OpenConsumer {
  abstract readonly methods: readonly Method[];
  protected readonly host: ConsumerHost;
  protected readonly open = new Set<W>();

  constructor(host: ConsumerHost) {
    this.host = host;
    host.store.subscribe(() => {
      for (const watch of [...this.open]) watch.push();
    });
  }

  watches = () => [...this.open].map(({ acknowledgements }) => acknowledgements.state);

  endAll = (refusal: CallRefusal): void => {
    for (const watch of [...this.open]) watch.end(refusal);
  };

  /** Counts a watch against its UID for as long as its stream is open. */
  protected count({ usage }: PeerConnection, stream: MessageStream): void {
    if (usage.watches >= this.host.limits.watchesPerUid) refuse(socketRefusal({ kind: 'too-many-watches' }));
    usage.watches += 1;
    stream.onClose(() => {
      usage.watches -= 1;
    });
  }

  protected add(watch: W, stream: MessageStream): void {
    this.open.add(watch);
    stream.onClose(() => {
      watch.closed();
      this.open.delete(watch);
    });
  }
}
