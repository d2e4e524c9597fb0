/**
 * One Unix socket that speaks gRPC to known peers, from bind to drain. Named states: opening → open → draining →
 * closed. What is answered on it is the caller's: it adds services to `grpc` before it calls `open`.
 */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { type ConnectionInjector, type Server, ServerCredentials } from '@grpc/grpc-js';
import type { SocketSettings } from '../config/config.ts';
import type { Limits } from '../domain/limits.ts';
import type { Audit } from '../observe/audit/audit.ts';
import type { Logger } from '../observe/log.ts';
import type { Meter } from '../observe/metrics.ts';
import { Connections, type ConnectionsOptions } from './connections.ts';
import { quietServer } from './quiet-grpc.ts';
import { type BoundSocket, bindSocket, removeSocket, socketState } from './socket-file.ts';

/** Milliseconds between two looks at the socket file: the longest that a removed socket can keep a new client out. */
const SOCKET_CHECK_INTERVAL_MS = 1_000;
/** Milliseconds that open calls get to end after SIGTERM. Kubernetes gives 30 s in all; we promise 5. */
const DRAIN_MS = 2_000;

/** gRPC's settings. Each is there because its default would let one peer cost another something. */
function channelOptions(limits: Limits) {
  return {
    'grpc.max_receive_message_length': limits.requestBytes,
    'grpc.max_concurrent_streams': limits.streamsPerConnection,
    'grpc.keepalive_time_ms': limits.pingIntervalMs,
    'grpc.keepalive_timeout_ms': limits.pingTimeoutMs,
    // Bytes of header that a peer may send: a method name and a few words.
    'grpc.max_metadata_size': 8_192,
    // MiB that one connection may hold in memory. The default is no limit.
    'grpc-node.max_session_memory': 32,
    'grpc.enable_channelz': 0,
  } as const;
}

export interface GrpcSocketOptions
  extends Pick<ConnectionsOptions, 'callers' | 'ownUid' | 'limits' | 'onNewUid'> {
  readonly file: () => SocketSettings;
  readonly audit: Audit;
  readonly log: Logger;
  readonly meter: Meter;
  /** Told when the socket is in place, and when it was lost. */
  readonly onListening: (listening: boolean) => void;
}

export class GrpcSocket {
  readonly grpc: Server;
  readonly connections: Connections;
  readonly #options: GrpcSocketOptions;
  readonly #injector: ConnectionInjector;
  #net: NetServer | undefined;
  #bound: BoundSocket | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #phase: 'opening' | 'open' | 'draining' | 'closed' = 'opening';
  #lost: 'removed' | 'replaced' | undefined;
  #checking = false;

  constructor(options: GrpcSocketOptions) {
    this.#options = options;
    this.grpc = quietServer(channelOptions(options.limits));
    this.#injector = this.grpc.createConnectionInjector(ServerCredentials.createInsecure());
    this.connections = new Connections({
      callers: options.callers,
      ownUid: options.ownUid,
      limits: options.limits,
      inject: (socket) => this.#injector.injectConnection(socket),
      onRefused: (caller, refusal) => {
        options.meter.peerRejected();
        options.audit.peerRefused(caller, refusal.kind);
      },
      ...(options.onNewUid === undefined ? {} : { onNewUid: options.onNewUid }),
    });
  }

  /** Binds the socket and begins to accept. Throws where the socket cannot stand where the configuration wants it. */
  async open(): Promise<void> {
    await this.#bind();
    this.#phase = 'open';
    this.#watchdog = setInterval(() => void this.#checkSocket(), SOCKET_CHECK_INTERVAL_MS).unref();
    this.#options.onListening(true);
  }

  /** The socket file that is in place now. */
  get boundSocket(): BoundSocket | undefined {
    return this.#bound;
  }

  /** Takes no more connections, calls `onDraining`, lets open calls finish, closes. Safe to call twice. */
  async drain(onDraining: () => void = () => {}): Promise<void> {
    if (this.#phase !== 'open') return;
    this.#phase = 'draining';
    clearInterval(this.#watchdog);
    onDraining();
    this.#net?.close();
    if (this.#bound !== undefined) removeSocket(this.#bound);
    this.#injector.drain(DRAIN_MS);
    const deadline = performance.now() + DRAIN_MS;
    while (this.connections.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.grpc.forceShutdown();
    this.#phase = 'closed';
  }

  async #bind(): Promise<void> {
    const net = createServer({ noDelay: true }, (socket: Socket) => this.connections.accept(socket));
    net.on('error', (error) => this.#options.log.error({ err: error }, 'the socket failed'));
    const { path, mode, gid } = this.#options.file();
    this.#bound = await bindSocket(net, { path, mode, gid });
    // The old one, if any, goes on with the connections that it accepted.
    this.#net?.close();
    this.#net = net;
  }

  async #checkSocket(): Promise<void> {
    if (this.#bound === undefined || this.#phase !== 'open' || this.#checking) return;
    const found = socketState(this.#bound);
    if (found === 'ours') {
      this.#lost = undefined;
      return;
    }
    const { audit, log, onListening } = this.#options;
    if (this.#lost !== found) {
      audit.socketLost(this.#bound.path, found);
      log.error({ path: this.#bound.path }, `the socket file was ${found}; binding again`);
      this.#lost = found;
      onListening(false);
    }
    this.#checking = true;
    try {
      await this.#bind();
      onListening(true);
    } catch (error) {
      log.warn({ err: error }, 'the socket cannot be bound again yet; open connections go on');
    } finally {
      this.#checking = false;
    }
  }
}
