/** The resolver's sockets, and what every consumer answers on them. */
import { DEFAULT_LIMITS, type Limits } from '../domain/limits.ts';
import { AfterSending } from '../socket/after-sending.ts';
import { GrpcSocket, type GrpcSocketOptions } from '../socket/grpc-socket.ts';
import { healthMethods } from '../socket/health.ts';
import { type CallRefusal, socketRefusal } from '../socket/refusal.ts';
import { type RefusedPeer, RefusedPeers } from '../socket/refused-peers.ts';
import type { BoundSocket } from '../socket/socket-file.ts';
import type { ConsumerHost, OpenConsumer } from './consumer.ts';
import { CONSUMERS } from './index.ts';
import type { WatchState } from './status-facts.ts';

/** No UID: nobody connects to a consumer's own socket without being listed, ourselves included. */
const NO_UID = -1;

export interface ResolverServerOptions extends Omit<ConsumerHost, 'limits' | 'afterSending'> {
  readonly onNewUid?: (uid: number) => void;
  /** Told of each call that was let in. */
  readonly onCall?: () => void;
  /** For tests; every socket's own unless given. */
  readonly limits?: Partial<Limits>;
}

export class ResolverServer implements AsyncDisposable {
  readonly #options: ResolverServerOptions;
  readonly #afterSending = new AfterSending();
  readonly #refusedPeers: RefusedPeers;
  readonly #consumers: readonly OpenConsumer[];
  readonly #main: GrpcSocket;
  readonly #others: readonly GrpcSocket[];

  private constructor(options: ResolverServerOptions) {
    this.#options = options;
    this.#refusedPeers = new RefusedPeers(options.log);
    const { audit, state, store, views } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const host = { ...options, limits, afterSending: this.#afterSending.add };
    this.#consumers = CONSUMERS.flatMap(({ open }) => open(host) ?? []);
    store.subscribe((_, before) => views.retire(before));
    const onMain = this.#consumers.filter(({ socket }) => socket === undefined);
    this.#main = this.#socket(onMain, {
      callers: () => options.config().callers,
      file: () => options.config().socket,
      ownUid: process.geteuid?.() ?? NO_UID,
      limits,
      onListening: (listening) => state.setListening(listening),
    });
    this.#main.calls.add(healthMethods(state, audit, servicesOf(onMain)));
    this.#others = this.#consumers.flatMap((consumer) =>
      consumer.socket === undefined
        ? []
        : this.#socket([consumer], {
            ...consumer.socket,
            ownUid: NO_UID,
            limits: { ...DEFAULT_LIMITS, ...consumer.socket.limits, ...options.limits },
            // Health is the main socket's: whoever calls another one finds out by calling.
            onListening: () => {},
          }),
    );
  }

  /** Binds the sockets and begins to accept. Throws where one cannot stand where the configuration wants it. */
  static async open(options: ResolverServerOptions): Promise<ResolverServer> {
    const server = new ResolverServer(options);
    try {
      for (const socket of server.#sockets) await socket.open();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  /** The main socket's file that is in place now. */
  get boundSocket(): BoundSocket | undefined {
    return this.#main.boundSocket;
  }

  /** Open connections of all sockets. */
  get connections(): number {
    return this.#sockets.reduce((sum, { connections }) => sum + connections.size, 0);
  }

  /** Open watches of all consumers. */
  get watches(): readonly WatchState[] {
    return this.#consumers.flatMap(({ watches }) => watches?.() ?? []);
  }

  get refusedPeers(): readonly RefusedPeer[] {
    return this.#refusedPeers.list;
  }

  /** Closes every connection whose peer the rules no longer admit. For a reload. */
  recheck(): void {
    for (const consumer of this.#consumers) consumer.recheck?.();
    // In the next turn of the event loop, when what they wrote is sent.
    setImmediate(() => {
      for (const { connections } of this.#sockets) connections.recheck();
    });
  }

  /** Ends every stream. */
  endAll(refusal: CallRefusal): void {
    for (const consumer of this.#consumers) consumer.endAll?.(refusal);
  }

  /** Ends every stream with `refusal`, lets open calls finish, closes. Safe to call twice. */
  async drain(refusal: CallRefusal): Promise<void> {
    await Promise.all(this.#sockets.map((socket) => socket.drain(() => this.endAll(refusal))));
    this.#afterSending.catchUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(socketRefusal({ kind: 'draining' }));
  }

  get #sockets(): readonly GrpcSocket[] {
    return [this.#main, ...this.#others];
  }

  #socket(
    consumers: readonly OpenConsumer[],
    own: Pick<GrpcSocketOptions, 'callers' | 'file' | 'ownUid' | 'limits' | 'onListening'>,
  ): GrpcSocket {
    const { audit, log, meter, onNewUid, onCall } = this.#options;
    const socket = new GrpcSocket({
      ...own,
      audit,
      log,
      meter,
      refusedPeers: this.#refusedPeers,
      ...(onNewUid && { onNewUid }),
      ...(onCall && { onCall }),
    });
    for (const { methods } of consumers) socket.calls.add(methods);
    return socket;
  }
}

/** Names that health knows besides the empty one. */
function servicesOf(consumers: readonly OpenConsumer[]): string[] {
  return [...new Set(consumers.flatMap(({ methods }) => methods.map(({ audited }) => audited.service)))];
}
