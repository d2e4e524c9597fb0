/** Snapshots for the tests of placeholders: real types, secrets made at run time. */
import { createHash } from 'node:crypto';
import type {
  CredentialEndpoint,
  ProvidedCredential,
  ProviderEnvironment,
} from '../../src/client/environment.ts';
import { SecretValue } from '../../src/domain/secret-value.ts';

export interface CredentialOptions {
  readonly key: string;
  readonly value: string | Buffer;
  readonly endpoints?: readonly CredentialEndpoint[];
  readonly expiresAtMs?: number;
  readonly provider?: string;
}

const GITLAB: CredentialEndpoint = { host: 'gitlab.example.com', port: 443, path: '' };

/** A handle as a resolver makes one: 64 hex digits that say nothing about the value. */
export function handleOf(key: string): string {
  return createHash('sha256').update(`handle of ${key}`).digest('hex');
}

function credential(options: CredentialOptions): ProvidedCredential {
  const provider = options.provider ?? 'gitlab';
  return {
    key: options.key,
    provider,
    value: SecretValue.from(Buffer.from(options.value as string)),
    handle: handleOf(options.key),
    identity: `${provider}:${options.key}`,
    endpoints: options.endpoints ?? [GITLAB],
    expiresAtMs: options.expiresAtMs,
  };
}

export function snapshot(credentials: readonly CredentialOptions[], revision = 7n): ProviderEnvironment {
  return {
    revision,
    sandbox: { id: 'sandbox-1', name: 'sandbox', namespace: 'tenant' },
    credentials: new Map(credentials.map((options) => [options.key, credential(options)])),
    refusals: [],
  };
}

/** The placeholder that an agent holds for a credential. */
export function handlePlaceholder(key: string): string {
  return `openshell:resolve:env:s${handleOf(key)}_${key}`;
}

/** Cases of a property test: many in CI, enough to notice on a laptop. */
export const RUNS = process.env.CI === 'true' ? 10_000 : 1_000;
