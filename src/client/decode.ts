import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { SecretValue } from '../domain/secret-value.ts';
import { ProviderEnvironmentSchema } from '../gen/secretresolver/v1/resolver_pb.ts';
import type { ProvidedCredential, ProviderEnvironment } from './environment.ts';
import { ResolverError } from './errors.ts';

/** Decodes a response. Throws {@link ResolverError} where it is none: the decoder's own words may quote bytes of it. */
export function decodeMessage<S extends DescMessage>(schema: S, bytes: Buffer): MessageShape<S> {
  try {
    return fromBinary(schema, bytes);
  } catch {
    throw new ResolverError('internal', 'the answer is not one that a resolver gives');
  }
}

/** Takes a response apart. The values are copied out and the message is overwritten. */
export function decodeEnvironment(bytes: Buffer): ProviderEnvironment {
  const message = decodeMessage(ProviderEnvironmentSchema, bytes);
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
      endpoints: (binding?.endpoints ?? []).map(({ host, port, path }) => ({ host, port, path })),
      expiresAtMs: expiresAtMs === undefined || expiresAtMs === 0n ? undefined : Number(expiresAtMs),
    });
  }
  const { id = '', name = '', namespace = '' } = message.sandbox ?? {};
  const environment: ProviderEnvironment = {
    revision: message.providerEnvRevision,
    sandbox: { id, name, namespace },
    credentials,
    refusals: message.refusals.map(({ provider, key, reason, required }) => ({
      provider,
      key,
      reason,
      required,
    })),
  };
  bytes.fill(0);
  return environment;
}

/** What a protobuf map has for a key. A credential may be named as what every object inherits: `valueOf`, `constructor`. */
function entryOf<V>(map: Readonly<Record<string, V>>, key: string): V | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}
