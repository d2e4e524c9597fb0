import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { speaksTls } from '../domain/endpoint.ts';
import { SecretValue } from '../domain/secret-value.ts';
import {
  ProviderEnvironmentSchema,
  type StaticCredentialEndpointBinding,
} from '../gen/secretresolver/v1/resolver_pb.ts';
import type { CredentialEndpoint, ProvidedCredential, ProviderEnvironment } from './environment.ts';
import { ResolverError } from './errors.ts';
import { loggable } from './loggable.ts';

/**
 * Decodes a response. Throws {@link ResolverError} if it is malformed. The decoder's error is not kept as the cause,
 * because it may quote bytes of a value.
 */
export function decodeMessage<S extends DescMessage>(
  schema: S,
  bytes: Buffer,
  socket: string,
): MessageShape<S> {
  try {
    return fromBinary(schema, bytes);
  } catch {
    throw new ResolverError('internal', 'the resolver sent a malformed response', { socket });
  }
}

/** Decodes a snapshot. Copies the values out of the message, then overwrites the message. */
export function decodeEnvironment(bytes: Buffer, socket: string): ProviderEnvironment {
  const message = decodeMessage(ProviderEnvironmentSchema, bytes, socket);
  const credentials = new Map<string, ProvidedCredential>();
  for (const [key, value] of Object.entries(message.environment)) {
    const binding = entryOf(message.staticCredentialBindings, key);
    const expiresAtMs = entryOf(message.credentialExpiresAtMs, key);
    credentials.set(key, {
      key,
      provider: entryOf(message.credentialProviders, key) ?? '',
      value: SecretValue.from(value),
      handle: binding?.workloadCredentialHandle ?? '',
      identity: binding?.credentialIdentity ?? '',
      endpoints: (binding?.endpoints ?? []).map(decodeEndpoint),
      expiresAtMs: expiresAtMs === undefined || expiresAtMs === 0n ? undefined : Number(expiresAtMs),
    });
  }
  const { providerEnvRevision: revision, refusals } = message;
  const { id = '', name = '', namespace = '' } = message.sandbox ?? {};
  bytes.fill(0);
  return loggable({
    revision,
    sandbox: { id, name, namespace },
    credentials,
    refusals: refusals.map(({ provider, key, reason, required }) => ({ provider, key, reason, required })),
  });
}

function decodeEndpoint(binding: StaticCredentialEndpointBinding): CredentialEndpoint {
  const { host, port, path, plainHttp } = binding;
  const endpoint = { host, port, path };
  return speaksTls(endpoint) === !plainHttp ? endpoint : { ...endpoint, tls: !plainHttp };
}

/** Reads own properties only: a credential may be called `valueOf` or `constructor`, which every object inherits. */
function entryOf<V>(map: Readonly<Record<string, V>>, key: string): V | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
