/**
 * Handles that a gateway keeps in place of values: `v1.<reference>.<seal>`, both parts in Base64url. Pure.
 *
 * The driver keeps no state, so a handle says what it refers to, and its seal (HMAC-SHA-256) says that this driver
 * judged exactly that for exactly this workspace, provider and credential. A person who can write the gateway's
 * database cannot make one, or move one to another provider. The key comes from a mounted Secret: a key made at
 * start would make every handle void at the next one. The seal says what was allowed once; whoever resolves
 * a handle asks the configuration again what is allowed now.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { lengthPrefixed } from '../../domain/length-prefixed.ts';
import { type GatewayReference, parseTarget, targetText } from './gateway-reference.ts';

/** Least bytes of a key: as many as the digest has. */
export const MIN_HANDLE_KEY_BYTES = 32;
const VERSION = 'v1';
const HANDLE = /^v1\.([A-Za-z0-9_-]{1,2048})\.[A-Za-z0-9_-]{43}$/;

/** What a handle is good for, and for nothing else. */
export interface HandleBinding {
  readonly workspace: string;
  readonly providerId: string;
  readonly credentialKey: string;
}

export function sealHandle(binding: HandleBinding, reference: GatewayReference, key: Buffer): string {
  const target =
    'named' in reference ? ['named', reference.named] : [reference.namespace, reference.name, reference.key];
  const mac = createHmac('sha256', key).update(
    lengthPrefixed([
      'secretresolver.v1.gateway-handle',
      binding.workspace,
      binding.providerId,
      binding.credentialKey,
      ...target,
    ]),
  );
  const named = Buffer.from(targetText(reference), 'utf8').toString('base64url');
  return `${VERSION}.${named}.${mac.digest('base64url')}`;
}

/** The reference of a handle that one of the keys sealed for this binding; undefined for any other text. */
export function openHandle(
  binding: HandleBinding,
  handle: string,
  keys: readonly Buffer[],
): GatewayReference | undefined {
  const [, named] = HANDLE.exec(handle) ?? [];
  if (named === undefined) return undefined;
  const reference = parseTarget(Buffer.from(named, 'base64url').toString('utf8'));
  if (reference === undefined) return undefined;
  // The whole text is made again and compared: Base64 has several spellings for the same bytes.
  const given = Buffer.from(handle, 'utf8');
  return keys.some((candidate) => {
    const made = Buffer.from(sealHandle(binding, reference, candidate), 'utf8');
    return made.byteLength === given.byteLength && timingSafeEqual(made, given);
  })
    ? reference
    : undefined;
}
