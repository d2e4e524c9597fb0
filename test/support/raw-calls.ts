/** Calls with any method and any bytes, which no well-behaved client makes. */
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';

const identity = (bytes: Buffer): Buffer => bytes;
export const SERVICE = '/secretresolver.v1.CredentialResolver';

export class RawClient implements Disposable {
  readonly #client: Client;

  /** `target` is the path of a socket, or a TCP port of loopback. */
  constructor(target: string | number) {
    const address = typeof target === 'number' ? `127.0.0.1:${target}` : `unix:${target}`;
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
    });
  }

  /** One unary call. Returns the error if it fails. */
  call(
    method: string,
    request: Uint8Array = new Uint8Array(),
    metadata = new Metadata(),
  ): Promise<{ response?: Buffer; code: status; details: string }> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest(
        method.startsWith('/') ? method : `${SERVICE}/${method}`,
        identity,
        identity,
        Buffer.from(request),
        metadata,
        { deadline: Date.now() + 10_000 },
        (error: ServiceError | null, response?: Buffer) => {
          if (error === null && response !== undefined) resolve({ response, code: status.OK, details: '' });
          else resolve({ code: error?.code ?? status.UNKNOWN, details: error?.details ?? '' });
        },
      );
    });
  }

  stream(method: string): RawWatch {
    return new RawWatch(
      this.#client.makeBidiStreamRequest(
        method.startsWith('/') ? method : `${SERVICE}/${method}`,
        identity,
        identity,
        new Metadata(),
      ),
    );
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** A bidirectional stream whose messages and end are collected. */
export class RawWatch {
  readonly stream: ClientDuplexStream<Buffer, Buffer>;
  readonly messages: Buffer[] = [];
  readonly ended: Promise<{ code: status; details: string }>;

  constructor(stream: ClientDuplexStream<Buffer, Buffer>) {
    this.stream = stream;
    stream.on('data', (bytes: Buffer) => this.messages.push(bytes));
    this.ended = new Promise((resolve) => {
      stream.on('error', (error: ServiceError) => resolve({ code: error.code, details: error.details }));
      stream.on('end', () => resolve({ code: status.OK, details: '' }));
    });
  }

  send(bytes: Uint8Array): void {
    this.stream.write(Buffer.from(bytes));
  }
}
