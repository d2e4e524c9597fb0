/** The socket, from bind to drain. Named states: opening → open → draining → closed. */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { type ConnectionInjector, Server, ServerCredentials } from '@grpc/grpc-js';
import { DEFAULT_LIMITS, type Limits } from '../access/limits.ts';
import type { Audit } from '../audit/audit.ts';
import type { Config } from '../config/config.ts';
import type { Logger } from '../log.ts';
import type { SnapshotStore } from '../resolve/snapshot.ts';
import { Calls } from './calls.ts';
import { Connections } from './connections.ts';
import { HEALTH_METHODS, healthImplementation } from './health.ts';
import { openshellImplementation, openshellMethods } from './openshell.ts';
import { OpenShellViews } from './openshell-views.ts';
import type { CallRefusal } from './refusal.ts';
import { RESOLVER_METHODS, ResolverService, SERVICE_NAME } from './service.ts';
import type { ServingState } from './serving-state.ts';
import { type BoundSocket, bindSocket, removeSocket, socketState } from './socket-file.ts';
import { encodeStatus, type StatusFacts } from './status.ts';
import type { Views } from './views.ts';

/** Milliseconds between two looks at the socket file: the longest that a removed socket can keep a new client out. */
const SOCKET_CHECK_INTERVAL_MS = 1_000;
/** Milliseconds that open calls get to end after SIGTERM. Kubernetes gives 30 s in all; we promise 5. */
export const DRAIN_MS = 2_000;

/** gRPC's settings. Each is there because its default would let one peer cost another something. */
function channelOptions(limits: Limits) {
  return {
    'grpc.max_receive_message_length': limits.requestBytes,
    'grpc.max_concurrent_streams': limits.streamsPerConnection,
    // A peer that is gone without a word (a stopped VM, a frozen cgroup) is found out within 40 s.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    // Bytes of header that a peer may send: a method name and a few words.
    'grpc.max_metadata_size': 8_192,
    // MiB that one connection may hold in memory. The default is no limit.
    'grpc-node.max_session_memory': 32,
    'grpc.enable_channelz': 0,
  } as const;
}

export interface ResolverServerOptions {
  /** The configuration of this moment: a reload changes it. */
  readonly config: () => Config;
  readonly store: SnapshotStore;
  readonly state: ServingState;
  readonly audit: Audit;
  readonly log: Logger;
  readonly views: Views;
  readonly processKey: Buffer;
  readonly statusFacts: () => StatusFacts;
  readonly onNewUid?: (uid: number) => void;
  /** For tests; {@link DEFAULT_LIMITS} unless given. */
  readonly limits?: Limits;
}

export class ResolverServer implements AsyncDisposable {
  readonly #options: ResolverServerOptions;
  readonly #grpc: Server;
  readonly #injector: ConnectionInjector;
  readonly connections: Connections;
  readonly service: ResolverService;
  #net: NetServer | undefined;
  #bound: BoundSocket | undefined;
  #watchdog: NodeJS.Timeout | undefined;
  #phase: 'opening' | 'open' | 'draining' | 'closed' = 'opening';
  #lost: 'removed' | 'replaced' | undefined;
  #checking = false;

  private constructor(options: ResolverServerOptions) {
    this.#options = options;
    const { store, state, views, audit, log, processKey } = options;
    const config = options.config();
    const limits = options.limits ?? DEFAULT_LIMITS;
    const openshellViews = new OpenShellViews({ views, audit, log, rules: () => options.config().openshell });
    let previous = store.current();
    store.subscribe((snapshot) => {
      if (previous !== undefined) {
        views.retire(previous);
        openshellViews.retire(previous);
      }
      previous = snapshot;
    });
    this.connections = new Connections({
      callers: () => options.config().callers,
      ownUid: process.geteuid?.() ?? -1,
      limits,
      inject: (socket) => this.#injector.injectConnection(socket),
      onRefused: (caller, refusal) => audit.peerRefused(caller, refusal.kind),
      ...(options.onNewUid === undefined ? {} : { onNewUid: options.onNewUid }),
    });
    const calls = new Calls({ connections: this.connections, state, audit, log });
    this.service = new ResolverService({
      calls,
      state,
      store,
      views,
      audit,
      processKey,
      limits,
      providers: () => options.config().providers.map(({ name }) => name),
      status: (sees, watchers) => encodeStatus(options.statusFacts(), sees, watchers),
    });
    this.#grpc = new Server(channelOptions(limits));
    this.#grpc.addService(RESOLVER_METHODS, this.service.implementation);
    this.#grpc.addService(
      openshellMethods(config.openshell.package),
      openshellImplementation({
        calls,
        service: this.service,
        views: openshellViews,
        audit,
        sandboxId: config.sandbox.id,
      }),
    );
    this.#grpc.addService(HEALTH_METHODS, healthImplementation(state, healthServices(config)));
    this.#injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** Binds the socket and begins to accept. Throws where the socket cannot stand where the configuration wants it. */
  static async open(options: ResolverServerOptions): Promise<ResolverServer> {
    const server = new ResolverServer(options);
    if (options.config().reflection) {
      const { addReflection } = await import('./reflection.ts');
      addReflection(server.#grpc, server.connections, options.config().openshell.package);
    }
    await server.#bind();
    server.#phase = 'open';
    server.#watchdog = setInterval(() => void server.#checkSocket(), SOCKET_CHECK_INTERVAL_MS).unref();
    options.state.setListening(true);
    return server;
  }

  /** The socket file that is in place now. */
  get boundSocket(): BoundSocket | undefined {
    return this.#bound;
  }

  /** Ends every stream with `refusal`, lets open calls finish, closes. Safe to call twice. */
  async drain(refusal: CallRefusal): Promise<void> {
    if (this.#phase !== 'open') return;
    this.#phase = 'draining';
    clearInterval(this.#watchdog);
    this.service.endAll(refusal);
    this.#net?.close();
    if (this.#bound !== undefined) removeSocket(this.#bound);
    this.#injector.drain(DRAIN_MS);
    const deadline = performance.now() + DRAIN_MS;
    while (this.connections.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.#grpc.forceShutdown();
    this.#phase = 'closed';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain({ kind: 'draining' });
  }

  async #bind(): Promise<void> {
    const net = createServer({ noDelay: true }, (socket: Socket) => this.connections.accept(socket));
    net.on('error', (error) => this.#options.log.error({ err: error }, 'the socket failed'));
    const { path, mode, gid } = this.#options.config().socket;
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
    const { audit, log, state } = this.#options;
    if (this.#lost !== found) {
      audit.socketLost(this.#bound.path, found);
      log.error({ path: this.#bound.path }, `the socket file was ${found}; binding again`);
      this.#lost = found;
      state.setListening(false);
    }
    this.#checking = true;
    try {
      await this.#bind();
      state.setListening(true);
    } catch (error) {
      log.warn({ err: error }, 'the socket cannot be bound again yet; open connections go on');
    } finally {
      this.#checking = false;
    }
  }
}

/** Names that health knows besides the empty one. */
export function healthServices(config: Config): string[] {
  return [SERVICE_NAME, `${config.openshell.package}.OpenShell`];
}
