/** One reference of a gateway → its value in the generation that is mounted now. Pure: `now` is an argument. */
import type { SecretReference } from '../../config/config.ts';
import type { SecretValue } from '../../domain/secret-value.ts';
import { readOf, type VolumeReads } from '../../snapshot/candidates.ts';
import type { RefusalReason } from '../../snapshot/refusal.ts';
import { decodeValue } from '../../snapshot/value.ts';

export type ResolvedReference =
  | {
      readonly kind: 'value';
      /** The caller owns it. */
      readonly value: SecretValue;
      /** Unix milliseconds; undefined where no end is known. */
      readonly expiresAtMs: number | undefined;
    }
  | { readonly kind: 'refused'; readonly reason: RefusalReason };

/** Reads one key as text: a gateway hands it on as an environment variable, where no line break may be. */
export function resolveReference(
  reads: VolumeReads,
  reference: SecretReference,
  now: number,
): ResolvedReference {
  const read = readOf(reads, reference);
  if (read.kind === 'fault') return { kind: 'refused', reason: read.fault };
  const key = read.generation.keys.get(reference.key);
  if (key === undefined) return { kind: 'refused', reason: 'key-missing' };
  if (key.kind === 'fault') return { kind: 'refused', reason: key.fault };
  const decoded = decodeValue(key.value, { trim: 'trailingNewline', format: 'text' });
  if (decoded.kind === 'refused') return decoded;
  const { value, jwtExpiresAtMs } = decoded;
  if (jwtExpiresAtMs !== undefined && jwtExpiresAtMs <= now) {
    value.erase();
    return { kind: 'refused', reason: 'expired' };
  }
  return { kind: 'value', value, expiresAtMs: jwtExpiresAtMs };
}
