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
export function deriveHandle(input: HandleInput): string {
  const endpoints = input.endpoints.map((endpoint) =>
    JSON.stringify([
      endpoint.host,
      endpoint.port,
      endpoint.path,
      ...(endpoint.tls === undefined ? [] : [endpoint.tls]),
    ]),
  );
  const names = lengthPrefixed([
    'secretresolver.v1.handle',
    input.sandbox.id,
    input.sandbox.namespace,
    input.provider,
    input.key,
    input.reference.namespace,
    input.reference.name,
    input.reference.key,
    ...(input.reference.source === undefined ? [] : ['source', input.reference.source]),
    ...[...new Set(endpoints)].sort(),
  ]);
  return hash('sha256', names, 'hex');
}
