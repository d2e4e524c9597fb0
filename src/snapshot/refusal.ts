/** Why a credential is configured and not served. Names and reasons only: nothing here can carry a value. */
import type { SecretReference } from '../config/config.ts';
import type { KeyFault, VolumeFault } from '../sources/kubelet-secret/generation.ts';

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
  switch (reason) {
    case 'secret-missing':
      return 'check that the Secret exists and is mounted in the resolver at <secretsRoot>/<namespace>/<name>';
    case 'not-kubelet-layout':
      return 'mount the Secret as a volume; a folder without ..data cannot be read as one generation';
    case 'mounted-by-sub-path':
      return 'mount the whole Secret: a subPath mount never rotates';
    case 'leads-out-of-volume':
    case 'symlink':
      return 'remove the symlink: the volume must be written by kubelet alone';
    case 'unstable':
      return 'find out what rewrites the volume without pause';
    case 'too-many-files':
    case 'volume-too-large':
      return 'split the Secret, or mount fewer in one volume';
    case 'unreadable':
      return "check the volume's defaultMode and fsGroup, and that this UID may read it";
    case 'key-missing':
      return 'check the key in the Secret, and that ESO has synced it';
    case 'not-a-file':
      return 'the key is a folder or a special file; check `items` of the volume';
    case 'too-large':
    case 'value-too-large':
      return 'a value may have 64 KiB';
    case 'reference-not-allowed':
      return 'list the Secret in references.allow, or remove the reference';
    case 'illegal-name':
      return 'rename the key in the Secret, or give it an environment name under `rename`';
    case 'reserved-name':
      return 'rename it: the name steers the shell or the loader, or reads as part of a placeholder';
    case 'claimed-twice':
      return 'two providers would serve this name; rename one';
    case 'no-endpoints':
      return "name `endpoints` in the provider, or in its type's profile: a credential without destination is not handed out";
    case 'empty':
      return 'the value is empty; set it in the source';
    case 'not-utf8':
      return 'store text, or encode the value as Base64';
    case 'line-break-or-nul':
      return 'remove the line break or NUL, or declare format json or pem';
    case 'not-json':
      return 'the value is not JSON; mend it, or drop format: json';
    case 'not-pem':
      return 'the value has no PEM block; mend it, or drop format: pem';
    case 'not-jwt':
      return 'the value is not a JWT; mend it, or drop format: jwt';
    case 'expired':
      return 'renew the credential at its source';
    case 'expiry-malformed':
      return 'write the expiry as RFC 3339 or Unix milliseconds';
    case 'response-too-large':
      return 'all values together exceed what one response can hold; spread them over several sandboxes';
  }
}
