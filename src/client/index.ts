/**
 * Client library for supervisors that run on Node.js. It watches the credentials and replaces placeholders in the
 * agent's requests with their values.
 *
 * @example
 * const resolver = connect({ socket: '/run/secret-resolver/socket/resolver.sock' });
 * const placeholders = new PlaceholderResolver();
 * for await (const environment of resolver.watchProviderEnvironment()) {
 *   placeholders.update(environment); // the next iteration acknowledges the revision
 *   // Start the agent with these environment variables. Rotations do not change them.
 *   startAgentOnce({ env: agentEnvironment(environment) });
 * }
 *
 * @example
 * // For each request that the agent sends through the supervisor's proxy:
 * const rewriting = placeholders.rewriteRequest(request, Date.now());
 * if (rewriting.kind === 'refused') {
 *   log(`refused: ${rewriting.detail} ${rewriting.key ?? ''}`);
 *   respond(statusOf(rewriting.reason), rewriting.reason); // 500 credential_unavailable, 403 credential_endpoint_mismatch
 * } else {
 *   log(rewriting.redacted); // contains no value and no placeholder
 *   send(rewriting.value); // contains the secret
 * }
 */
import { create, type DescMethod, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  CredentialResolver,
  type GetStatusResponse,
  GetStatusResponseSchema,
  type ListCredentialsResponse,
  ListCredentialsResponseSchema,
} from '../gen/secretresolver/v1/resolver_pb.ts';
import { decodeEnvironment, decodeMessage } from './decode.ts';
import type { ProviderEnvironment } from './environment.ts';
import { loggable } from './loggable.ts';
import { openChannel, unaryCall } from './transport.ts';
import { type WatchedEnvironment, type WatchOptions, watchEnvironment } from './watch.ts';

export { SecretValue } from '../domain/secret-value.ts';
export {
  AcknowledgeOutcome,
  type Boundary,
  BoundaryState,
  type Credential,
  CredentialState,
  type Finding,
  type GetStatusResponse,
  type ListCredentialsResponse,
  type Sandbox,
  type SecretReference,
  type Volume,
  type Watcher,
} from '../gen/secretresolver/v1/resolver_pb.ts';
export type {
  CredentialEndpoint,
  ProvidedCredential,
  ProviderEnvironment,
  RefusedCredential,
} from './environment.ts';
export { ResolverError, type ResolverErrorCode } from './errors.ts';
export { type CredentialName, formatPlaceholder, type Placeholder, parsePlaceholder } from './placeholder.ts';
export type { BodyKind } from './placeholder-body.ts';
export type { Destination } from './placeholder-endpoint.ts';
export { agentEnvironment } from './placeholder-environment.ts';
export { redactPlaceholders, redactTarget } from './placeholder-redact.ts';
export {
  type Location,
  type Refusal,
  type RefusalDetail,
  type RefusalReason,
  type Rewriting,
  type Rewritten,
  statusOf,
} from './placeholder-refusal.ts';
export type { AgentRequest, Authority, OutgoingRequest } from './placeholder-request.ts';
export { MAX_PLACEHOLDERS, type PlaceholderOptions, PlaceholderResolver } from './placeholder-resolver.ts';
export { eraseEnvironment, type WatchedEnvironment, type WatchOptions } from './watch.ts';

/** Options of {@link connect}. */
export interface ConnectOptions {
  /** Path of the resolver's socket. */
  readonly socket: string;
  /** Timeout of a single call, in milliseconds. Defaults to 5,000. */
  readonly timeoutMs?: number;
}

/** A connection to the resolver. The first call opens it; `close` or `using` closes it. */
export interface ResolverClient extends Disposable {
  /** The current snapshot of these providers. Defaults to all providers that this caller may see. */
  getProviderEnvironment(options?: { readonly providers?: readonly string[] }): Promise<ProviderEnvironment>;
  /** The current snapshot and every newer one. Reconnects automatically. */
  watchProviderEnvironment(options?: WatchOptions): AsyncGenerator<WatchedEnvironment, void, undefined>;
  /** Names, references and states of all the caller's credentials, without values. */
  listCredentials(): Promise<ListCredentialsResponse>;
  /** State of the boundary, the volumes and the watchers, without values. */
  getStatus(): Promise<GetStatusResponse>;
  /** Closes the connection. A watch has its own connection, which closes when its iteration ends or its signal aborts. */
  close(): void;
}

/** Creates a client for a socket. Its calls reject with {@link ResolverError}. */
export function connect(options: ConnectOptions): ResolverClient {
  const { socket, timeoutMs = 5_000 } = options;
  const channel = openChannel(socket);
  const { getProviderEnvironment, listCredentials, getStatus } = CredentialResolver.method;
  const call = <M extends DescMethod>({ parent, name, input }: M, request?: MessageInitShape<M['input']>) => {
    const bytes = toBinary(input, create(input, request));
    return unaryCall(socket, channel, `/${parent.typeName}/${name}`, bytes, timeoutMs);
  };
  const close = () => channel.close();
  return {
    async getProviderEnvironment({ providers = [] } = {}) {
      return decodeEnvironment(await call(getProviderEnvironment, { providers: [...providers] }), socket);
    },
    watchProviderEnvironment: (watchOptions = {}) => watchEnvironment(socket, watchOptions),
    async listCredentials() {
      const list = create(ListCredentialsResponseSchema);
      // In pages: a Secret may have ten thousand keys.
      for (let pageToken = '', more = true; more; more = pageToken !== '') {
        const answer = await call(listCredentials, { pageToken });
        const page = decodeMessage(ListCredentialsResponseSchema, answer, socket);
        list.credentials.push(...page.credentials);
        pageToken = page.nextPageToken;
      }
      return loggable(list);
    },
    async getStatus() {
      const answer = await call(getStatus);
      return loggable(decodeMessage(GetStatusResponseSchema, answer, socket));
    },
    close,
    [Symbol.dispose]: close,
  };
}
