import { hash } from 'node:crypto';
import { type Endpoint, type Sandbox, type SecretReference, secretId } from '../config/config.ts';
import { lengthPrefixed } from '../domain/length-prefixed.ts';

/** What a handle is derived from. The value is not among it: a placeholder outlives rotations. */
export interface HandleInput {
  readonly sandbox: Sandbox;
  readonly provider: string;
  readonly key: string;
  readonly reference: SecretReference;
  readonly endpoints: readonly Endpoint[];
}

/** Handles that are kept for one list of endpoints, which is one provider's of one configuration; beyond that all are made again. */
const MAX_KEPT = 20_000;
/** By the endpoints, which are never changed, and the names. A rotation changes neither, and asks for each again. */
const kept = new WeakMap<readonly Endpoint[], Map<string, string>>();

/** The handle of a credential, as {@link deriveHandle} says. Pure: what is kept is what would be made. */
export function handleOf(input: HandleInput): string {
  const { sandbox, provider, key, reference, endpoints } = input;
  let known = kept.get(endpoints);
  if (known === undefined || known.size >= MAX_KEPT) {
    known = new Map();
    kept.set(endpoints, known);
  }
  // No name can hold a NUL: an environment name has none, nor a file's, and the others are checked when they are loaded.
  const names = `${sandbox.id}\0${sandbox.namespace}\0${provider}\0${key}\0${secretId(reference)}\0${reference.key}`;
  let handle = known.get(names);
  if (handle === undefined) {
    handle = deriveHandle(input);
    known.set(names, handle);
  }
  return handle;
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
