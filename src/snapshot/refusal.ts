/** Why a credential is configured and not served. Names and reasons only: nothing here can carry a value. */
import type { SecretReference } from '../config/config.ts';
import { VOLUME_REMEDIES, type VolumeFault } from '../sources/index.ts';
import type { KeyFault } from '../sources/source.ts';

export type RefusalReason =
  | VolumeFault
  | KeyFault
  | 'reference-not-allowed'
  | 'illegal-name'
  | 'reserved-name'
  | 'claimed-twice'
  | 'no-endpoints'
  | 'empty'
  | 'value-too-large'
  | 'not-utf8'
  | 'line-break-or-nul'
  | 'not-json'
  | 'not-pem'
  | 'not-jwt'
  | 'expired'
  | 'expiry-malformed'
  | 'response-too-large';

export interface CredentialRefusal {
  readonly provider: string;
  /** Environment name, or the Secret's key where no legal name could be made of it. */
  readonly key: string;
  readonly reference: SecretReference;
  readonly required: boolean;
  readonly reason: RefusalReason;
}

/** What a person can do about a refusal. Exhaustive: a new reason without advice does not compile. */
export function remedy(reason: RefusalReason): string {
  return REMEDIES[reason];
}

const TOO_LARGE = 'a value may have 64 KiB';

const REMEDIES: Readonly<Record<RefusalReason, string>> = {
  ...VOLUME_REMEDIES,
  'key-missing': 'check the key in the Secret, and that ESO has synced it',
  'not-a-file': 'the key is a folder or a special file; check `items` of the volume',
  symlink: 'remove the symlink: the volume must be written by kubelet alone',
  'too-large': TOO_LARGE,
  'value-too-large': TOO_LARGE,
  'reference-not-allowed': 'list the Secret in references.allow, or remove the reference',
  'illegal-name': 'rename the key in the Secret, or give it an environment name under `rename`',
  'reserved-name': 'rename it: the name steers the shell or the loader, or reads as part of a placeholder',
  'claimed-twice': 'two providers would serve this name; rename one',
  'no-endpoints':
    "name `endpoints` in the provider, or in its type's profile: a credential without destination is not handed out",
  empty: 'the value is empty; set it in the source',
  'not-utf8': 'store text, or encode the value as Base64',
  'line-break-or-nul': 'remove the line break or NUL, or declare format json or pem',
  'not-json': 'the value is not JSON; mend it, or drop format: json',
  'not-pem': 'the value has no PEM block; mend it, or drop format: pem',
  'not-jwt': 'the value is not a JWT; mend it, or drop format: jwt',
  expired: 'renew the credential at its source',
  'expiry-malformed': 'write the expiry as RFC 3339 or Unix milliseconds',
  'response-too-large':
    'all values together exceed what one response can hold; spread them over several sandboxes',
};
