/** Health on TCP, for kubelet's `grpc:` probe. Nothing else is ever served there. */
import { createServer, type Server as NetServer } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import type { ListenAddress } from '../config/config.ts';
import { CommandError, ExitCode, errorCode } from '../domain/errors.ts';
import { quietServer } from '../socket/quiet-grpc.ts';
import type { ServingState } from '../socket/serving-state.ts';
import { HEALTH_LIMITS, HealthConnections, type HealthLimits } from './health-connections.ts';
import { HEALTH_METHODS, healthImplementation } from './health-service.ts';
import { OwnAddresses } from './own-addresses.ts';

/**
 * Connections that the kernel keeps until they are accepted; as many as most kernels allow. The kubelet waits in this
 * queue behind whoever floods the port. One that is full is worked off in some 150 ms, but whoever finds it full tries
 * again a second later only, which is all the time that a probe has.
 */
const BACKLOG = 4_096;

export interface HealthListenerOptions {
  /** For tests; {@link HEALTH_LIMITS} unless given. */
  readonly limits?: Partial<HealthLimits>;
  /** For tests, where all peers are local: whether an address is one of this pod's. */
  readonly isOwn?: (address: string | undefined) => boolean;
}

export class HealthListener implements AsyncDisposable {
  readonly #net: NetServer;
  readonly #grpc: Server;
  readonly #connections: HealthConnections;

  private constructor(net: NetServer, grpc: Server, connections: HealthConnections) {
    this.#net = net;
    this.#grpc = grpc;
    this.#connections = connections;
  }

  /** Listens on `address`; throws where it cannot be bound. */
  static async open(
    address: ListenAddress,
    state: ServingState,
    services: readonly string[],
    options: HealthListenerOptions = {},
  ): Promise<HealthListener> {
    const grpc = quietServer({
      'grpc.max_receive_message_length': 4_096,
      'grpc.max_metadata_size': 4_096,
      'grpc.max_concurrent_streams': 16,
      'grpc-node.max_session_memory': 1,
      'grpc.enable_channelz': 0,
    });
    const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
    const own = new OwnAddresses();
    const connections = new HealthConnections({
      limits: { ...HEALTH_LIMITS, ...options.limits },
      isOwn: options.isOwn ?? ((peer) => own.has(peer, performance.now())),
      inject: (socket) => injector.injectConnection(socket),
    });
    grpc.addService(
      HEALTH_METHODS,
      healthImplementation(state, services, {
        began: (peer) => connections.began(peer),
        holds: (peer) => connections.holds(peer),
      }),
    );
    const net = createServer({ noDelay: true }, (socket) => connections.accept(socket));
    await listen(net, address);
    return new HealthListener(net, grpc, connections);
  }

  /** Connections open now. */
  get size(): number {
    return this.#connections.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#net.listening) return;
    const closed = new Promise<void>((resolve) => this.#net.close(() => resolve()));
    this.#connections[Symbol.dispose]();
    this.#grpc.forceShutdown();
    await closed;
  }
}

async function listen(net: NetServer, { host, port }: ListenAddress): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    net.once('error', (error) => {
      const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      reject(
        new CommandError(
          `health.listen: ${place} cannot be bound: ${errorCode(error)} (choose a free port)`,
          ExitCode.usage,
        ),
      );
    });
    net.listen({ host, port, backlog: BACKLOG }, resolve);
  });
  // From here on an error costs a connection, never the process.
  net.on('error', () => {});
}
