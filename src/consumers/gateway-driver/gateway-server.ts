/** The credential driver's socket: the same peer check, limits, audit and watchdog as the resolver's own. */

import type { GatewayDriver, ReferenceRule } from '../../config/config.ts';
import { DEFAULT_LIMITS, type Limits } from '../../domain/limits.ts';
import type { Audit } from '../../observe/audit/audit.ts';
import type { Logger } from '../../observe/log.ts';
import type { Meter } from '../../observe/metrics.ts';
import { Calls } from '../../socket/calls.ts';
import type { Connections } from '../../socket/connections.ts';
import { GrpcSocket } from '../../socket/grpc-socket.ts';
import type { ServingState } from '../../socket/serving-state.ts';
import {
  GATEWAY_DRIVER_METHODS,
  type GatewayDriverOptions,
  gatewayDriverImplementation,
} from './gateway-driver.ts';

/** A full batch of the longest handles takes 3 MiB, which gateways could not even send; a common one 400 KiB. */
const REQUEST_BYTES = 2 * 1024 * 1024;

/** No UID: nobody comes in without being listed, ourselves included. There are no names to show. */
const NO_UID = -1;

export interface GatewayServerOptions extends Pick<GatewayDriverOptions, 'reads' | 'handleKeys'> {
  /** The configuration of this moment: a reload changes it. */
  readonly driver: () => GatewayDriver;
  readonly allow: () => readonly ReferenceRule[];
  readonly state: ServingState;
  readonly audit: Audit;
  readonly log: Logger;
  readonly meter: Meter;
  readonly onNewUid?: (uid: number) => void;
  /** For tests; {@link DEFAULT_LIMITS} with larger requests unless given. */
  readonly limits?: Partial<Limits>;
}

export class GatewayServer implements AsyncDisposable {
  readonly #socket: GrpcSocket;

  private constructor(options: GatewayServerOptions) {
    const { state, audit, log, meter, driver, onNewUid } = options;
    this.#socket = new GrpcSocket({
      callers: () => driver().callers,
      ownUid: NO_UID,
      limits: { ...DEFAULT_LIMITS, requestBytes: REQUEST_BYTES, ...options.limits },
      file: () => driver().socket,
      audit,
      log,
      meter,
      // Health is the resolver's own: a gateway finds out by calling.
      onListening: () => {},
      ...(onNewUid === undefined ? {} : { onNewUid }),
    });
    const calls = new Calls({ connections: this.#socket.connections, state, audit, log });
    this.#socket.grpc.addService(GATEWAY_DRIVER_METHODS, gatewayDriverImplementation({ ...options, calls }));
  }

  /** Binds the socket and begins to accept. Throws where the socket cannot stand where the configuration wants it. */
  static async open(options: GatewayServerOptions): Promise<GatewayServer> {
    const server = new GatewayServer(options);
    await server.#socket.open();
    return server;
  }

  get connections(): Connections {
    return this.#socket.connections;
  }

  /** Lets open calls finish, and closes. Safe to call twice. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#socket.drain();
  }
}
