/** The resolver's own socket and what is answered on it. */

import type { Config } from '../config/config.ts';
import { DEFAULT_LIMITS, type Limits } from '../domain/limits.ts';
import type { Audit } from '../observe/audit/audit.ts';
import type { Logger } from '../observe/log.ts';
import { type Meter, NO_METER } from '../observe/metrics.ts';
import type { SnapshotStore } from '../snapshot/snapshot.ts';
import { Calls } from '../socket/calls.ts';
import type { Connections } from '../socket/connections.ts';
import { GrpcSocket } from '../socket/grpc-socket.ts';
import { HEALTH_METHODS, healthImplementation } from '../socket/health.ts';
import type { CallRefusal } from '../socket/refusal.ts';
import type { ServingState } from '../socket/serving-state.ts';
import type { BoundSocket } from '../socket/socket-file.ts';
import { RESOLVER_METHODS, ResolverService, SERVICE_NAME } from './native/service.ts';
import { encodeStatus, type StatusFacts } from './native/status.ts';
import type { Views } from './native/views.ts';
import { openshellImplementation, openshellMethods } from './openshell/openshell.ts';
import { OpenShellViews } from './openshell/openshell-views.ts';

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
  /** Told of each call that was let in. */
  readonly onCall?: () => void;
  /** {@link NO_METER} unless given. */
  readonly meter?: Meter;
  /** For tests; {@link DEFAULT_LIMITS} unless given. */
  readonly limits?: Limits;
}

export class ResolverServer implements AsyncDisposable {
  readonly #socket: GrpcSocket;
  readonly #calls: Calls;
  readonly connections: Connections;
  readonly service: ResolverService;

  private constructor(options: ResolverServerOptions) {
    const { store, state, views, audit, log, processKey, meter = NO_METER } = options;
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
    this.#socket = new GrpcSocket({
      callers: () => options.config().callers,
      ownUid: process.geteuid?.() ?? -1,
      limits,
      file: () => options.config().socket,
      audit,
      log,
      meter,
      onListening: (listening) => state.setListening(listening),
      ...(options.onNewUid === undefined ? {} : { onNewUid: options.onNewUid }),
    });
    this.connections = this.#socket.connections;
    this.#calls = new Calls({
      connections: this.connections,
      state,
      audit,
      log,
      ...(options.onCall === undefined ? {} : { onCall: options.onCall }),
    });
    const calls = this.#calls;
    this.service = new ResolverService({
      calls,
      state,
      store,
      views,
      audit,
      meter,
      processKey,
      limits,
      providers: () => options.config().providers.map(({ name }) => name),
      status: (sees, watchers) => encodeStatus(options.statusFacts(), sees, watchers),
    });
    const { grpc } = this.#socket;
    grpc.addService(RESOLVER_METHODS, this.service.implementation);
    grpc.addService(
      openshellMethods(config.openshell.package),
      openshellImplementation({
        calls,
        service: this.service,
        views: openshellViews,
        sandboxId: config.sandbox.id,
      }),
    );
    grpc.addService(HEALTH_METHODS, healthImplementation(state, healthServices(config)));
  }

  /** Binds the socket and begins to accept. Throws where the socket cannot stand where the configuration wants it. */
  static async open(options: ResolverServerOptions): Promise<ResolverServer> {
    const server = new ResolverServer(options);
    await server.#socket.open();
    return server;
  }

  /** The socket file that is in place now. */
  get boundSocket(): BoundSocket | undefined {
    return this.#socket.boundSocket;
  }

  /** Ends every stream with `refusal`, lets open calls finish, closes. Safe to call twice. */
  async drain(refusal: CallRefusal): Promise<void> {
    await this.#socket.drain(() => this.service.endAll(refusal));
    this.#calls.catchUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain({ kind: 'draining' });
  }
}

/** Names that health knows besides the empty one. */
export function healthServices(config: Config): string[] {
  return [SERVICE_NAME, `${config.openshell.package}.OpenShell`];
}
