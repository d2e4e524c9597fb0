/** grpc.health.v1, on each socket, for the callers that it knows. Health says whether the resolver serves. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/grpc/health/v1/health_pb.ts';
import type { Audit } from '../observe/audit/audit.ts';
import { parse, refuse } from './calls.ts';
import { Status } from './grpc-status.ts';
import { type Method, streaming, unary } from './method.ts';
import { CallRefusal, socketRefusal } from './refusal.ts';
import type { ServingState } from './serving-state.ts';

const SERVICE = 'grpc.health.v1.Health';
/** Streams of Watch that may be open at once, of all callers of a socket. */
const MAX_WATCHES = 64;

const NO_SUCH_SERVICE = { code: Status.NOT_FOUND, details: 'no such service' };

const RESPONSES = {
  serving: encode(ServingStatus.SERVING),
  notServing: encode(ServingStatus.NOT_SERVING),
  unknown: encode(ServingStatus.SERVICE_UNKNOWN),
};

/** Health of the named services, and of the server as a whole under the empty name. */
export function healthMethods(state: ServingState, audit: Audit, services: readonly string[]): Method[] {
  const known = new Set(['', ...services]);
  let watches = 0;
  const response = () => (state.isServing() ? RESPONSES.serving : RESPONSES.notServing);
  const nameOf = (bytes: Buffer) =>
    parse('HealthCheckRequest', () => fromBinary(HealthCheckRequestSchema, bytes)).service;
  const check = unary(SERVICE, 'Check', (connection, request) => {
    if (!known.has(nameOf(request))) refuse(new CallRefusal({ kind: 'no-such-service' }, NO_SUCH_SERVICE));
    audit.listed(check.audited, connection.audited);
    return response();
  });
  const watch = streaming(SERVICE, 'Watch', (connection, call) => {
    if (watches >= MAX_WATCHES) refuse(socketRefusal({ kind: 'too-many-watches' }));
    watches += 1;
    let stop = () => {};
    call.onClose(() => {
      watches -= 1;
      stop();
    });
    let subscribed = false;
    call.receive((request) => {
      if (subscribed) refuse(socketRefusal({ kind: 'malformed-request', what: 'a second message' }));
      subscribed = true;
      const name = nameOf(request);
      audit.listed(watch.audited, connection.audited);
      let last: Buffer | undefined;
      const send = () => {
        const next = known.has(name) ? response() : RESPONSES.unknown;
        if (next !== last) call.write(next);
        last = next;
      };
      stop = state.onChange(send);
      send();
    });
  });
  return [check, watch];
}

function encode(status: ServingStatus): Buffer {
  return Buffer.from(toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status })));
}
