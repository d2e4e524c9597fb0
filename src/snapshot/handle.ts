import { hash } from 'node:crypto';
import type { Endpoint, Sandbox, SecretReference } from '../config/config.ts';
import { lengthPrefixed } from '../domain/length-prefixed.ts';

/** What a handle is derived from. The value is not among it: a placeholder outlives rotations. */
export interface HandleInput {
  readonly sandbox: Sandbox;
  readonly provider: string;
  readonly key: string;
  readonly reference: SecretReference;
  readonly endpoints: readonly Endpoint[];
}

/**
 * The credential's handle: 64 lowercase hexadecimal digits. Not a secret and not meant to be hard to guess: it
 * names a credential and opens nothing.
 */
export function deriveHandle({ sandbox, provider, key, reference, endpoints }: HandleInput): string {
  const destinations = endpoints.map(({ host, port, path, tls }) =>
    JSON.stringify([host, port, path, ...(tls === undefined ? [] : [tls])]),
  );
  const names = lengthPrefixed([
    'secretresolver.v1.handle',
    sandbox.id,
    sandbox.namespace,
    provider,
    key,
    reference.namespace,
    reference.name,
    reference.key,
    ...(reference.source === undefined ? [] : ['source', reference.source]),
    ...[...new Set(destinations)].sort(),
  ]);
  return hash('sha256', names, 'hex');
}
