/** Raw calls over the Unix socket: bytes out, bytes in. */
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { MAX_MESSAGE_BYTES } from '../domain/limits.ts';
import { type ResolverError, toResolverError } from './errors.ts';

const identity = (bytes: Buffer): Buffer => bytes;

/** Opens a separate channel, which shares no pool and so no back-off with other channels of the process. */
export function openChannel(socketPath: string): Client {
  return new Client(`unix:${socketPath}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.enable_retries': 0,
    // A resolver restarts in about a second, and a connection attempt to a local socket costs microseconds.
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 250,
    // Connect to this socket only: no proxy from the environment, no name resolution.
    'grpc.enable_http_proxy': 0,
    'grpc.enable_channelz': 0,
  });
}

/** One unary call, `method` with its service. Rejects with {@link ResolverError}. */
export function unaryCall(
  socket: string,
  channel: Client,
  method: string,
  request: Uint8Array,
  timeoutMs: number,
): Promise<Buffer> {
  return new Promise((resolve, reject: (error: ResolverError) => void) => {
    channel.makeUnaryRequest(
      method,
      identity,
      identity,
      Buffer.from(request),
      new Metadata(),
      { deadline: Date.now() + timeoutMs },
      (error: ServiceError | null, response?: Buffer) => {
        if (error !== null) reject(toResolverError(error, socket));
        else resolve(response ?? Buffer.alloc(0));
      },
    );
  });
}

/** A bidirectional call, `method` with its service. */
export function bidirectionalCall(channel: Client, method: string): ClientDuplexStream<Buffer, Buffer> {
  return channel.makeBidiStreamRequest(method, identity, identity, new Metadata());
}
