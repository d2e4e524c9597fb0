/**
 * grpc.health.v1, on the socket and on TCP. Written here and not taken from grpc-health-check: that loads
 * protobufjs and parses a .proto file at start, which would double the time to SERVING.
 */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ServerWritableStream, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Status,
} from '../gen/grpc/health/v1/health_pb.ts';
import type { ServingState } from '../socket/serving-state.ts';

/** Streams of Health.Watch that may be open at once: anybody who reaches the port can open one. */
const MAX_HEALTH_WATCHES = 64;

const identity = (bytes: Buffer): Buffer => bytes;
const method = (name: string, responseStream: boolean) => ({
  path: `/grpc.health.v1.Health/${name}`,
  requestStream: false,
  responseStream,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});
export const HEALTH_METHODS = { Check: method('Check', false), Watch: method('Watch', true) };

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

/** How calls are counted where anybody may make them. Both take what `call.getPeer()` says. */
export interface HealthMeter {
  /** A call began; false where it is one too many. */
  readonly began: (peer: string) => boolean;
  /** A watch is open until the returned function is called. */
  readonly holds: (peer: string) => () => void;
}

const UNCOUNTED: HealthMeter = { began: () => true, holds: () => () => {} };
const TOO_MANY_CALLS = { code: status.RESOURCE_EXHAUSTED, details: 'too many calls' };

/** Health of the named services, and of the server as a whole under the empty name. */
export function healthImplementation(
  state: ServingState,
  services: readonly string[],
  meter: HealthMeter = UNCOUNTED,
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
  const check = (
    call: { request: Buffer; getPeer: () => string },
    callback: (error: object | null, response?: Buffer) => void,
  ) => {
    if (!meter.began(call.getPeer())) {
      callback(TOO_MANY_CALLS);
      return;
    }
    const service = nameOf(call.request);
    if (service === undefined)
      callback({ code: status.INVALID_ARGUMENT, details: 'the request is malformed' });
    else if (!known.has(service)) callback({ code: status.NOT_FOUND, details: 'no such service' });
    else callback(null, response(service));
  };
  const watch = (stream: ServerWritableStream<Buffer, Buffer>) => {
    if (!meter.began(stream.getPeer())) {
      stream.emit('error', TOO_MANY_CALLS);
      return;
    }
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
    const release = meter.holds(stream.getPeer());
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
      if (!open) return;
      open = false;
      watches -= 1;
      release();
      unsubscribe();
    };
    stream.on('cancelled', close);
    stream.on('close', close);
    send();
  };
  return { Check: check, Watch: watch } as UntypedServiceImplementation;
}
