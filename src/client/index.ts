/**
 * Client of the resolver, for supervisors written for Node.
 *
 * @example
 * const resolver = connect({ socket: '/run/secret-resolver/socket/resolver.sock' });
 * for await (const environment of resolver.watchProviderEnvironment()) {
 *   install(environment); // going on with the loop acknowledges the revision
 * }
 */
import { create, toBinary } from '@bufbuild/protobuf';
import {
  GetProviderEnvironmentRequestSchema,
  type GetStatusResponse,
  GetStatusResponseSchema,
  type ListCredentialsResponse,
  ListCredentialsResponseSchema,
} from '../gen/secretresolver/v1/resolver_pb.ts';
import { decodeEnvironment, decodeMessage } from './decode.ts';
import type { ProviderEnvironment } from './environment.ts';
import { openChannel, unaryCall } from './transport.ts';
import { type WatchedEnvironment, type WatchOptions, watchEnvironment } from './watch.ts';

export { SecretValue } from '../secret-value.ts';
export type {
  CredentialEndpoint,
  ProvidedCredential,
  ProviderEnvironment,
  RefusedCredential,
} from './environment.ts';
export { ResolverError, type ResolverErrorCode } from './errors.ts';
export { eraseEnvironment, type WatchedEnvironment, type WatchOptions } from './watch.ts';

export interface ConnectOptions {
  /** Path of the resolver's socket. */
  readonly socket: string;
  /** Milliseconds that a single call may take; 5,000 unless given. */
  readonly timeoutMs?: number;
}

/** A connection to the resolver. It is opened at the first call and closed by `close` or `using`. */
export interface ResolverClient extends Disposable {
  /** The current snapshot of these providers, or of all that this caller may see. */
  getProviderEnvironment(options?: { readonly providers?: readonly string[] }): Promise<ProviderEnvironment>;
  /** The current snapshot and every newer one; reconnects by itself. */
  watchProviderEnvironment(options?: WatchOptions): AsyncGenerator<WatchedEnvironment, void, undefined>;
  /** Names, references and states. Never a value. */
  listCredentials(): Promise<ListCredentialsResponse>;
  /** Boundary, volumes and watchers. Never a value. */
  getStatus(): Promise<GetStatusResponse>;
  close(): void;
}

/** Makes a client for a socket. Calls reject with `ResolverError`. */
export function connect(options: ConnectOptions): ResolverClient {
  const channel = openChannel(options.socket);
  const timeoutMs = options.timeoutMs ?? 5_000;
  const call = (method: string, request: Uint8Array) => unaryCall(channel, method, request, timeoutMs);
  const close = () => channel.close();
  return {
    async getProviderEnvironment({ providers = [] } = {}) {
      const request = create(GetProviderEnvironmentRequestSchema, { providers: [...providers] });
      return decodeEnvironment(
        await call('GetProviderEnvironment', toBinary(GetProviderEnvironmentRequestSchema, request)),
      );
    },
    watchProviderEnvironment: (watchOptions = {}) => watchEnvironment(options.socket, watchOptions),
    async listCredentials() {
      return decodeMessage(ListCredentialsResponseSchema, await call('ListCredentials', new Uint8Array()));
    },
    async getStatus() {
      return decodeMessage(GetStatusResponseSchema, await call('GetStatus', new Uint8Array()));
    },
    close,
    [Symbol.dispose]: close,
  };
}
