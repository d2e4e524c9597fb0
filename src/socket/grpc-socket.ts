/**
 * One Unix socket that speaks gRPC to known peers, from bind to drain. Named states: opening → open → draining →
 * closed. HTTP/2 is Node's own: a gRPC library answers unknown methods, half messages and unread responses by itself,
 * and counts none of them.
 */
import {
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SocketSettings } from '../config/config.ts';
import type { Limits } from '../domain/limits.ts';
import type { Meter } from '../observe/metrics.ts';
import { Calls, type CallsOptions } from './calls.ts';
import { Connections, type ConnectionsOptions, type PeerConnection } from './connections.ts';
import type { RefusedPeers } from './refused-peers.ts';
import { type BoundSocket, bindSocket, removeSocket, socketState } from './socket-file.ts';

/** Milliseconds between two looks at the socket file: the longest that a removed socket can keep a new client out. */
const SOCKET_CHECK_INTERVAL_MS = 1_000;
/** Milliseconds that open calls get to end after SIGTERM. Kubernetes gives 30 s in all; we promise 5. */
const DRAIN_MS = 2_000;
/** MiB that one connection may hold in memory: what a UID may leave unread, and its streams. */
const SESSION_MEMORY_MIB = 24;
/** Bytes of header that a peer may send: a method name and a few words. */
const HEADER_BYTES = 8_192;

export interface GrpcSocketOptions
  extends Pick<ConnectionsOptions, 'callers' | 'ownUid' | 'limits' | 'onNewUid'>,
    CallsOptions {
  readonly file: () => SocketSettings;
  readonly meter: Meter;
  readonly refusedPeers: RefusedPeers;
  /** Told when the socket is in place, and when it was lost. */
  readonly onListening: (listening: boolean) => void;
}

export class GrpcSocket {
  readonly connections: Connections;
  readonly calls: Calls;
  readonly #options: GrpcSocketOptions;
  readonly #http2: Http2Server;
  readonly #sessions = new Map<ServerHttp2Session, PeerConnection>();
  #net: NetServer | undefined;
  #bound: BoundSocket | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #phase: 'opening' | 'open' | 'draining' | 'closed' = 'opening';
  #lost: 'removed' | 'replaced' | undefined;
  #checking = false;

  constructor(options: GrpcSocketOptions) {
    this.#options = options;
    this.calls = new Calls(options);
    this.#http2 = http2Server(options.limits);
    this.#http2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      const connection = stream.session && this.#sessions.get(stream.session as ServerHttp2Session);
      if (connection === undefined) stream.destroy();
      else this.calls.handle(stream, headers, connection);
    });
    this.connections = new Connections({
      ...options,
      inject: (socket, connection) => this.#inject(socket, connection),
      onRefused: (caller, refusal) => {
        options.meter.peerRejected();
        options.refusedPeers.add(caller, refusal);
        options.audit.peerRefused(caller, refusal);
      },
    });
  }

  /** Binds the socket and begins to accept. Throws where the socket cannot stand where the configuration wants it. */
  async open(): Promise<void> {
    await this.#bind();
    this.#phase = 'open';
    this.#watchdog = setInterval(() => void this.#checkSocket(), SOCKET_CHECK_INTERVAL_MS).unref();
    this.#options.onListening(true);
  }

  get boundSocket(): BoundSocket | undefined {
    return this.#bound;
  }

  /** Takes no more connections, calls `onDraining`, lets open calls finish, closes. Safe to call twice. */
  async drain(onDraining: () => void = () => {}): Promise<void> {
    if (this.#phase !== 'open') return;
    this.#phase = 'draining';
    clearInterval(this.#watchdog);
    onDraining();
    this.#unbind();
    for (const session of this.#sessions.keys()) session.close();
    const deadline = performance.now() + DRAIN_MS;
    while (this.connections.size > 0 && performance.now() < deadline) {
      await sleep(10);
    }
    for (const session of this.#sessions.keys()) session.destroy();
    this.#phase = 'closed';
  }

  /** Node makes the session before `emit` returns, so that it is known to belong to this connection. */
  #inject(socket: Socket, connection: PeerConnection): () => void {
    let made: ServerHttp2Session | undefined;
    this.#http2.once('session', (session) => {
      made = session;
    });
    this.#http2.emit('connection', socket);
    const session = made;
    if (session === undefined) throw new Error('HTTP/2 made no session');
    this.#sessions.set(session, connection);
    const { pingIntervalMs } = this.#options.limits;
    const pings = setInterval(() => this.#ping(session), pingIntervalMs).unref();
    session.on('error', () => session.destroy());
    session.once('close', () => {
      clearInterval(pings);
      this.#sessions.delete(session);
      socket.destroy();
    });
    return () => session.close();
  }

  #ping(session: ServerHttp2Session): void {
    if (session.destroyed) return;
    const late = setTimeout(() => session.destroy(), this.#options.limits.pingTimeoutMs).unref();
    session.ping(() => clearTimeout(late));
  }

  #unbind(): void {
    this.#net?.close();
    if (this.#bound !== undefined) removeSocket(this.#bound);
  }

  async #bind(): Promise<void> {
    const net = createServer({ noDelay: true }, (socket: Socket) => this.connections.accept(socket));
    net.on('error', (error) => this.#options.log.error({ err: error }, 'the socket failed'));
    this.#bound = await bindSocket(net, this.#options.file());
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
      // A drain that came meanwhile has closed the socket before.
      if (this.#phase === 'open') onListening(true);
      else this.#unbind();
    } catch (error) {
      log.warn({ err: error }, 'the socket cannot be bound again yet; open connections go on');
    } finally {
      this.#checking = false;
    }
  }
}

function http2Server(limits: Limits): Http2Server {
  const server = createHttp2Server({
    maxSessionMemory: SESSION_MEMORY_MIB,
    // Refused before a line of ours runs, which costs less than the next connection would.
    maxSessionRejectedStreams: 1_000_000,
    settings: {
      maxConcurrentStreams: limits.streamsPerConnection,
      maxHeaderListSize: HEADER_BYTES,
      enablePush: false,
    },
  });
  // Each session and stream has a listener of its own.
  server.on('sessionError', () => {});
  return server;
}
