/** Why a credential is configured and not served. Names and reasons only: nothing here can carry a value. */
import type { SecretReference } from '../config/config.ts';
import { MAX_VALUE_BYTES } from '../domain/limits.ts';
import { VOLUME_REMEDIES } from '../sources/index.ts';

const TOO_LARGE = `shorten the value: at most ${MAX_VALUE_BYTES} bytes are served`;

/** Every reason, with what to do about it. */
export const REMEDIES = {
  ...VOLUME_REMEDIES,
  'key-missing': 'check the key in the Secret, and that ESO has synced it',
  'not-a-file': 'the key is a folder or a special file; check `items` of the volume',
  symlink: 'remove the symlink: only kubelet may write the volume',
  'too-large': TOO_LARGE,
  'value-too-large': TOO_LARGE,
  'reference-not-allowed': 'list the Secret in references.allow, or remove the reference',
  'illegal-name': 'rename the key in the Secret, or give it an environment name under `rename`',
  'reserved-name':
    'rename it: the name controls how programs start or connect (shell, loader, proxy, TLS, git, package manager), or reads as part of a placeholder',
  'claimed-twice': 'rename one of the two credentials that would be served under this name',
  'no-endpoints':
    "set `endpoints` in the provider or in its type's profile: a credential needs a destination",
  empty: 'the value is empty; set it in the source',
  'not-utf8': 'store the value as UTF-8 text (PowerShell may write UTF-16), or encode it as Base64',
  'byte-order-mark':
    'the value has a byte order mark (EF BB BF): remove it; at the beginning, trim: trailingNewline drops one',
  'line-break-or-nul':
    'remove the line break or NUL, or set format: json or format: pem (in credentialsFrom for each key: `format: {KEY: pem}`)',
  'not-json': 'the value is not JSON; fix it, or remove format: json',
  'not-pem':
    'OpenSSL could not load the value: its PEM block is missing, cut off, not Base64, or not on lines of its own; store the file unchanged',
  'pem-escaped-newlines':
    'the line breaks of the PEM block are written as \\n, two characters; store the file with real line breaks',
  'pem-indented':
    'the lines of the PEM block are indented; store the file without blanks at the start of a line',
  'not-jwt': 'the value is not a JWT; fix it, or remove format: jwt',
  expired: 'renew the credential at its source',
  'expiry-malformed':
    'write the expiry as RFC 3339 or Unix milliseconds: 13 digits, where 10 digits are seconds and 16 microseconds',
  'response-too-large':
    'one response has no room for it: take fewer keys of the Secret, or move the provider to another sandbox',
  'provider-withheld':
    'fix the required credential of this provider that is refused; it withholds the whole provider',
};

export type RefusalReason = keyof typeof REMEDIES;

export interface CredentialRefusal {
  readonly provider: string;
  /** Environment name, or the Secret's key where no legal name could be made of it. */
  readonly key: string;
  readonly reference: SecretReference;
  /** Whether it withholds its provider: it is required, and no alternative to it is served. */
  readonly required: boolean;
  readonly reason: RefusalReason;
}

/** The refusals of required credentials, by the provider that each withholds; the first of each. */
export function withheldProviders(
  refusals: readonly CredentialRefusal[],
): ReadonlyMap<string, CredentialRefusal> {
  const withheld = new Map<string, CredentialRefusal>();
  for (const refusal of refusals) {
    if (refusal.required && !withheld.has(refusal.provider)) withheld.set(refusal.provider, refusal);
  }
  return withheld;
}
