/**
 * grpc.health.v1, on the socket and on TCP. Written here and not taken from grpc-health-check: that loads
 * protobufjs and parses a .proto file at start, which would double the time to SERVING.
 */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  Server,
  ServerCredentials,
  type ServerWritableStream,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { ListenAddress } from '../config/config.ts';
import { CommandError, ExitCode, errorCode } from '../errors.ts';
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from '../gen/grpc/health/v1/health_pb.ts';
import { type RawMethod, rawMethod } from './calls.ts';
import type { ServingState } from './serving-state.ts';

/** Streams of Health.Watch that may be open at once: anybody who reaches the port can open one. */
const MAX_HEALTH_WATCHES = 64;

export const HEALTH_METHODS: Readonly<Record<string, RawMethod>> = {
  Check: rawMethod('/grpc.health.v1.Health/Check', { request: false, response: false }),
  Watch: rawMethod('/grpc.health.v1.Health/Watch', { request: false, response: true }),
};

function encode(servingStatus: Status): Buffer {
  return Buffer.from(
    toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status: servingStatus })),
  );
}

const RESPONSES = {
  serving: encode(Status.SERVING),
  notServing: encode(Status.NOT_SERVING),
  unknown: encode(Status.SERVICE_UNKNOWN),
};

/**
 * Service that is SERVING while the process answers at all. The kubelet's liveness probe asks for it: a refused
 * credential makes the others NOT_SERVING, and a restart would mend nothing and cut every watch.
 */
export const LIVENESS_SERVICE = 'liveness';

/** Health of the named services, and of the server as a whole under the empty name. */
export function healthImplementation(
  state: ServingState,
  services: readonly string[],
): UntypedServiceImplementation {
  const known = new Set(['', LIVENESS_SERVICE, ...services]);
  let watches = 0;
  const response = (service: string) =>
    service === LIVENESS_SERVICE || state.isServing() ? RESPONSES.serving : RESPONSES.notServing;
  const nameOf = (bytes: Buffer): string | undefined => {
    try {
      return fromBinary(HealthCheckRequestSchema, bytes).service;
    } catch {
      return undefined;
    }
  };
  const check = (call: { request: Buffer }, callback: (error: object | null, response?: Buffer) => void) => {
    const service = nameOf(call.request);
    if (service === undefined)
      callback({ code: status.INVALID_ARGUMENT, details: 'the request is malformed' });
    else if (!known.has(service)) callback({ code: status.NOT_FOUND, details: 'no such service' });
    else callback(null, response(service));
  };
  const watch = (stream: ServerWritableStream<Buffer, Buffer>) => {
    const service = nameOf(stream.request);
    if (service === undefined) {
      stream.emit('error', { code: status.INVALID_ARGUMENT, details: 'the request is malformed' });
      return;
    }
    if (watches >= MAX_HEALTH_WATCHES) {
      stream.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'too many health watches' });
      return;
    }
    watches += 1;
    let last: Buffer | undefined;
    const send = () => {
      const next = known.has(service) ? response(service) : RESPONSES.unknown;
      if (next === last) return;
      last = next;
      stream.write(next);
    };
    const unsubscribe = state.onChange(send);
    let open = true;
    const close = () => {
      if (open) watches -= 1;
      open = false;
      unsubscribe();
    };
    stream.on('cancelled', close);
    stream.on('close', close);
    send();
  };
  return { Check: check, Watch: watch } as UntypedServiceImplementation;
}

/** Health on TCP, for kubelet's `grpc:` probe. Nothing else is ever served there. */
export class HealthListener implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(
    address: ListenAddress,
    state: ServingState,
    services: readonly string[],
  ): Promise<HealthListener> {
    const server = new Server({
      'grpc.max_receive_message_length': 4_096,
      'grpc.max_concurrent_streams': 16,
      'grpc.max_connection_idle_ms': 60_000,
      'grpc-node.max_session_memory': 1,
      'grpc.enable_channelz': 0,
    });
    server.addService(HEALTH_METHODS, healthImplementation(state, services));
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`${host}:${address.port}`, ServerCredentials.createInsecure(), (error) => {
        if (error === null) resolve();
        else {
          reject(
            new CommandError(
              `health.listen: ${host}:${address.port} cannot be bound: ${errorCode(error)} (choose a free port)`,
              ExitCode.usage,
            ),
          );
        }
      });
    });
    return new HealthListener(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }
}
