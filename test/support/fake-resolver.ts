/** A server on a Unix socket that answers each call with what the test says, true to the wire format and to nothing else. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type sendUnaryData,
  type status,
} from '@grpc/grpc-js';
import {
  GetStatusResponseSchema,
  ListCredentialsResponseSchema,
  ProviderEnvironmentSchema,
} from '../../src/gen/secretresolver/v1/resolver_pb.ts';

interface Failure {
  readonly code: status;
  readonly details: string;
}

export interface Answers {
  readonly environment?: MessageInitShape<typeof ProviderEnvironmentSchema>;
  readonly list?: MessageInitShape<typeof ListCredentialsResponseSchema>;
  readonly status?: MessageInitShape<typeof GetStatusResponseSchema>;
  /** What every call ends with instead. */
  readonly error?: Failure;
  /** What ListCredentials alone ends with. */
  readonly listError?: Failure;
}

export class FakeResolver implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'msr-fake-'));
  readonly socket = join(this.#folder, 'x.sock');
  readonly #server = new Server();

  static async open(answers: Answers): Promise<FakeResolver> {
    const fake = new FakeResolver();
    fake.#answer(answers);
    await new Promise<void>((resolve, reject) =>
      fake.#server.bindAsync(`unix:${fake.socket}`, ServerCredentials.createInsecure(), (error) =>
        error === null ? resolve() : reject(error),
      ),
    );
    return fake;
  }

  #answer({ environment = {}, list = {}, status = {}, error, listError }: Answers): void {
    const bytes = {
      GetProviderEnvironment: toBinary(
        ProviderEnvironmentSchema,
        create(ProviderEnvironmentSchema, environment),
      ),
      ListCredentials: toBinary(ListCredentialsResponseSchema, create(ListCredentialsResponseSchema, list)),
      GetStatus: toBinary(GetStatusResponseSchema, create(GetStatusResponseSchema, status)),
    };
    const unary = (name: string, answer: Uint8Array) => (_call: unknown, done: sendUnaryData<Buffer>) => {
      const failure = name === 'ListCredentials' ? (listError ?? error) : error;
      if (failure === undefined) done(null, Buffer.from(answer));
      else done(failure);
    };
    this.#server.addService(
      {
        ...Object.fromEntries(Object.keys(bytes).map((name) => [name, rawMethod(name, false)])),
        WatchProviderEnvironment: rawMethod('WatchProviderEnvironment', true),
      },
      {
        ...Object.fromEntries(Object.entries(bytes).map(([name, answer]) => [name, unary(name, answer)])),
        WatchProviderEnvironment: (call: ServerDuplexStream<Buffer, Buffer>) => {
          if (error === undefined) call.write(Buffer.from(bytes.GetProviderEnvironment));
          else call.emit('error', error);
        },
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** One method of our service, as bytes. */
export function rawMethod(name: string, stream: boolean) {
  const same = (bytes: Buffer) => bytes;
  return {
    path: `/secretresolver.v1.CredentialResolver/${name}`,
    requestStream: stream,
    responseStream: stream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}
