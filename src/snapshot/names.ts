import { ENVIRONMENT_NAME, isSteeringName, MAX_KEY_BYTES, UNSERVABLE_NAME } from '../domain/names.ts';
import type { RefusalReason } from './refusal.ts';

/** Why a name cannot be served, or undefined where it can. */
export function nameFault(name: string): RefusalReason | undefined {
  if (!ENVIRONMENT_NAME.test(name) || Buffer.byteLength(name) > MAX_KEY_BYTES) return 'illegal-name';
  return UNSERVABLE_NAME.test(name) || isSteeringName(name) ? 'reserved-name' : undefined;
}
