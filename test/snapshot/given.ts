/** Input for the pure functions in src/snapshot. The defaults produce one served credential. */
import type { BulkSource, Config, ExplicitCredential, Provider } from '../../src/config/config.ts';
import { SecretValue } from '../../src/domain/secret-value.ts';
import type { CredentialRefusal } from '../../src/snapshot/refusal.ts';
import { type Resolution, resolve } from '../../src/snapshot/resolve.ts';
import type { VolumeFault, VolumeRead } from '../../src/sources/index.ts';
import type { KeyFault, KeyRead } from '../../src/sources/source.ts';

export const NOW = Date.UTC(2027, 0, 31);
export const SECRET = { namespace: 'tenant', name: 'credentials' };
export const ENDPOINTS = [{ host: 'gitlab.example.com', port: 443, path: '' }];

/** The fields of a Config that `resolve` reads. */
export type ResolveConfig = Pick<Config, 'sandbox' | 'references' | 'providers'>;

export function config(providers: readonly Provider[], overrides: Partial<ResolveConfig> = {}): Config {
  const used: ResolveConfig = {
    sandbox: { id: 'sandbox-1', name: 'nvbugs', namespace: 'tenant' },
    references: { allow: [{ namespace: 'tenant', name: '*', keys: ['*'] }] },
    providers,
    ...overrides,
  };
  return used as Config;
}

export function provider(overrides: Partial<Provider> = {}): Provider {
  return {
    name: 'gitlab',
    type: 'gitlab',
    endpoints: ENDPOINTS,
    profileCredentials: [],
    credentials: [],
    from: [],
    ...overrides,
  };
}

export function credential(overrides: Partial<ExplicitCredential> = {}): ExplicitCredential {
  return {
    key: 'TOKEN',
    reference: { ...SECRET, key: 'token' },
    required: false,
    expiresAt: undefined,
    trim: 'trailingNewline',
    format: 'text',
    ...overrides,
  };
}

export function bulk(overrides: Partial<BulkSource> = {}): BulkSource {
  return {
    secret: SECRET,
    mode: 'allKeys',
    rename: new Map(),
    include: ['*'],
    exclude: [],
    format: new Map(),
    trim: 'trailingNewline',
    ...overrides,
  };
}

export type Keys = Readonly<Record<string, string | Uint8Array | { readonly fault: KeyFault }>>;

export function generation(keys: Keys): VolumeRead {
  const read = (content: Keys[string]): KeyRead =>
    typeof content === 'object' && 'fault' in content
      ? { kind: 'fault', fault: content.fault, code: 'ETEST' }
      : { kind: 'bytes', value: SecretValue.from(Buffer.from(content as string)) };
  return {
    kind: 'generation',
    generation: {
      id: '..2027_01_31_00_00_00.1',
      keys: new Map(Object.entries(keys).map(([key, content]) => [key, read(content)])),
    },
  };
}

export function faulty(fault: VolumeFault): VolumeRead {
  return { kind: 'fault', fault, code: 'ETEST' };
}

/** The reads of the one Secret, and of others by name. */
export function reads(first: VolumeRead, others: Readonly<Record<string, VolumeRead>> = {}) {
  return new Map([
    ['tenant/credentials', first],
    ...Object.entries(others).map(([name, read]) => [`tenant/${name}`, read] as const),
  ]);
}

/** Served texts, and refusals as `reason`, followed by `!` if required; by environment name. */
export function outcome(resolution: Resolution): {
  served: Record<string, string>;
  refused: Record<string, string>;
} {
  const reason = ({ reason, required }: CredentialRefusal) => `${reason}${required ? '!' : ''}`;
  return {
    served: Object.fromEntries(
      resolution.credentials.map(({ key, value }) => [key, value.reveal().toString()]),
    ),
    refused: Object.fromEntries(resolution.refusals.map((refusal) => [refusal.key, reason(refusal)])),
  };
}

/** One explicit credential from one Secret. */
export function resolveOne(
  overrides: Partial<ExplicitCredential>,
  keys: Keys | VolumeRead,
  now = NOW,
): ReturnType<typeof outcome> & { readonly resolution: Resolution } {
  const read =
    'kind' in keys && typeof keys.kind === 'string' ? (keys as VolumeRead) : generation(keys as Keys);
  const resolution = resolve(config([provider({ credentials: [credential(overrides)] })]), reads(read), now);
  return { ...outcome(resolution), resolution };
}
