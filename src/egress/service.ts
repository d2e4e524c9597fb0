/** The kit's socket: what Envoy asks, over gRPC. */

import {
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { DEFAULT_LIMITS } from '../domain/limits.ts';
import {
  ExternalProcessor,
  ProcessingRequestSchema,
  ProcessingResponseSchema,
} from '../gen/envoy/service/ext_proc/v3/external_processor_pb.ts';
import { SecretDiscoveryService } from '../gen/envoy/service/secret/v3/sds_pb.ts';
import type { Logger } from '../observe/log.ts';
import { FewLines } from '../observe/log-few.ts';
import { GrpcCall } from '../socket/grpc-call.ts';
import { Status } from '../socket/grpc-status.ts';
import { UidUsage } from '../socket/usage.ts';
import { LISTENER_METADATA, MAX_BODY_BYTES } from './bootstrap.ts';
import type { Certificates } from './certificates.ts';
import type { Current } from './current.ts';
import { type Denial, ProxiedRequest } from './request.ts';

/** Milliseconds of one budget of log lines: an agent may be refused as often as it likes. */
const LOG_WINDOW_MS = 10_000;
/** Each request of the agent is a stream. */
const STREAMS = 10_000;
const HELD_BYTES = 128 * 1024 * 1024;
/** Envoy resets the stream of each request that it is done with. Node closes a connection after 1,000 resets, and 33 a second. */
const RESETS = { streamResetBurst: 1_000_000, streamResetRate: 1_000_000 } as const;

/** Envoy alone asks: what the agent can make it ask for is limited by Envoy's own buffers. */
const LIMITS = {
  ...DEFAULT_LIMITS,
  inboundBytesPerUid: HELD_BYTES,
  unreadBytesPerUid: HELD_BYTES,
  requestBytes: MAX_BODY_BYTES + 64 * 1024,
  byteWeight: 1,
};

export interface ServiceOptions {
  readonly socket: string;
  readonly current: Current;
  readonly certificates: Certificates;
  readonly log: Logger;
}

/** Listens; resolves to what ends it. */
export async function serveEnvoy(options: ServiceOptions): Promise<() => Promise<void>> {
  const { socket, certificates } = options;
  const denials = deniedTo(options.log);
  const usage = new UidUsage(LIMITS, performance.now());
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer({
    ...RESETS,
    maxSessionMemory: HELD_BYTES / 1024 / 1024,
    settings: { maxConcurrentStreams: STREAMS, enablePush: false },
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const call = new GrpcCall(stream, { usage }, LIMITS);
    switch (headers[':path']) {
      case `/${ExternalProcessor.typeName}/${ExternalProcessor.method.process.name}`:
        return proxied(call, String(headers[LISTENER_METADATA]), options, denials.add);
      case `/${SecretDiscoveryService.typeName}/${SecretDiscoveryService.method.deltaSecrets.name}`:
        return certificates.accept(call);
      default:
        return call.end({ code: Status.UNIMPLEMENTED, details: '' });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  return async () => {
    denials.end();
    const closed = new Promise((resolve) => server.close(resolve));
    for (const session of sessions) session.destroy();
    await closed;
  };
}

function proxied(
  call: GrpcCall,
  listener: string,
  { current, log }: ServiceOptions,
  denied: (denial: Denial) => void,
): void {
  const request = new ProxiedRequest({ current, listener, denied });
  call.onClose(() => request[Symbol.dispose]());
  call.receive({
    message: (bytes) => {
      try {
        const part = fromBinary(ProcessingRequestSchema, bytes, { readUnknownFields: false });
        call.write(Buffer.from(toBinary(ProcessingResponseSchema, request.take(part, Date.now()))));
        if (request.done) call.end({ code: Status.OK, details: '' });
      } catch (err) {
        log.error({ err }, 'a request could not be judged, and is refused');
        call.end({ code: Status.UNAVAILABLE, details: '' });
      }
    },
    end: () => call.end({ code: Status.OK, details: '' }),
    fault: ({ wire }) => call.end(wire),
  });
}

/** Some lines in each window; the rest are counted. */
function deniedTo(log: Logger) {
  let lines = new FewLines(log);
  const timer = setInterval(() => {
    lines.end();
    lines = new FewLines(log);
  }, LOG_WINDOW_MS).unref();
  return {
    add: (denial: Denial) => lines.add('warn', denial, 'a request of the agent is refused', denial.detail),
    end: () => {
      clearInterval(timer);
      lines.end();
    },
  };
}
