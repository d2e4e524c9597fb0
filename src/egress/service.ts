/** The kit's socket: what Envoy asks, over gRPC. */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import {
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import {
  ExternalProcessor,
  type ProcessingRequest,
  ProcessingRequestSchema,
  type ProcessingResponse,
  ProcessingResponseSchema,
} from '../gen/envoy/service/ext_proc/v3/external_processor_pb.ts';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  SecretDiscoveryService,
} from '../gen/envoy/service/secret/v3/sds_pb.ts';
import type { Logger } from '../observe/log.ts';
import { FewLines } from '../observe/log-few.ts';
import { LISTENER_METADATA, MAX_BODY_BYTES } from './bootstrap.ts';
import type { CertificateStream, Certificates } from './certificates.ts';
import type { Current } from './current.ts';
import { type Denial, ProxiedRequest } from './request.ts';

/** Milliseconds of one budget of log lines: an agent may be refused as often as it likes. */
const LOG_WINDOW_MS = 10_000;

export interface ServiceOptions {
  readonly socket: string;
  readonly current: Current;
  readonly certificates: Certificates;
  readonly log: Logger;
}

/** Listens; resolves to what ends it. */
export async function serveEnvoy({
  socket,
  current,
  certificates,
  log,
}: ServiceOptions): Promise<() => Promise<void>> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_BODY_BYTES + 64 * 1024,
    'grpc.enable_channelz': 0,
  });
  const denials = deniedTo(log);
  server.addService(
    {
      Process: duplex(
        ExternalProcessor.typeName,
        'Process',
        ProcessingRequestSchema,
        ProcessingResponseSchema,
      ),
    },
    {
      Process: (stream: ServerDuplexStream<ProcessingRequest, ProcessingResponse>) =>
        process(stream, current, denials, log),
    } satisfies UntypedServiceImplementation,
  );
  server.addService(
    {
      DeltaSecrets: duplex(
        ...([SecretDiscoveryService.typeName, 'DeltaSecrets'] as const),
        ...([DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema] as const),
      ),
    },
    {
      DeltaSecrets: (stream: CertificateStream) => certificates.accept(stream),
    } satisfies UntypedServiceImplementation,
  );
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return async () => {
    denials.end();
    server.forceShutdown();
  };
}

function process(
  stream: ServerDuplexStream<ProcessingRequest, ProcessingResponse>,
  current: Current,
  denials: Denials,
  log: Logger,
): void {
  const [listener = ''] = stream.metadata.get(LISTENER_METADATA);
  const request = new ProxiedRequest({ current, listener: String(listener), denied: denials.add });
  stream.on('data', (part: ProcessingRequest) => {
    try {
      stream.write(request.take(part, Date.now()));
    } catch (err) {
      log.error({ err }, 'a request could not be judged, and is refused');
      stream.destroy();
    }
  });
  stream.on('end', () => stream.end());
  stream.on('error', () => {});
  stream.on('close', () => request[Symbol.dispose]());
}

interface Denials {
  readonly add: (denial: Denial) => void;
  readonly end: () => void;
}

/** Some lines in each window; the rest are counted. */
function deniedTo(log: Logger): Denials {
  let lines = new FewLines(log);
  const timer = setInterval(() => {
    lines.end();
    lines = new FewLines(log);
  }, LOG_WINDOW_MS).unref();
  return {
    add: (denial) => lines.add('warn', denial, 'a request of the agent is refused', denial.detail),
    end: () => {
      clearInterval(timer);
      lines.end();
    },
  };
}

/** Unknown fields are most of what Envoy sends about itself, and are not kept. */
function duplex<I extends DescMessage, O extends DescMessage>(
  service: string,
  name: string,
  request: I,
  response: O,
): MethodDefinition<MessageShape<I>, MessageShape<O>> {
  const unused = (): never => {
    throw new Error('the kit is no client');
  };
  return {
    path: `/${service}/${name}`,
    requestStream: true,
    responseStream: true,
    requestSerialize: unused,
    requestDeserialize: (bytes) => fromBinary(request, bytes, { readUnknownFields: false }),
    responseSerialize: (message) => Buffer.from(toBinary(response, message)),
    responseDeserialize: unused,
  };
}
