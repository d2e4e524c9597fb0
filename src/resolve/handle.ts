import { createHash } from 'node:crypto';
import type { Endpoint, Sandbox, SecretReference } from '../config/config.ts';

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
 * names a credential and opens nothing. Each field is written with its length, so that no two inputs run
 * together to the same bytes.
 */
export function deriveHandle(input: HandleInput): string {
  const hash = createHash('sha256');
  const field = (text: string) => {
    const bytes = Buffer.from(text, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.byteLength);
    hash.update(length).update(bytes);
  };
  field('secretresolver.v1.handle');
  field(input.sandbox.id);
  field(input.sandbox.namespace);
  field(input.provider);
  field(input.key);
  field(input.reference.namespace);
  field(input.reference.name);
  field(input.reference.key);
  const endpoints = input.endpoints.map((endpoint) =>
    JSON.stringify([endpoint.host, endpoint.port, endpoint.path]),
  );
  for (const endpoint of [...new Set(endpoints)].sort()) field(endpoint);
  return hash.digest('hex');
}
