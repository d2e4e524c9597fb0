/** Provider + generation → the credentials that it claims, before any value is looked at. Pure. */
import {
  type BulkSource,
  type Config,
  type ExplicitCredential,
  type Provider,
  type SecretName,
  secretId,
  takesKey,
} from '../config/config.ts';
import type { VolumeRead } from '../sources/index.ts';
import type { KeyRead } from '../sources/source.ts';

/** The last read of each Secret, by {@link secretId}. */
export type VolumeReads = ReadonlyMap<string, VolumeRead>;

/** A claim of one provider on one environment name. */
export interface Candidate extends ExplicitCredential {
  readonly provider: Provider;
  /** `explicit` wins over `bulk` where two providers claim one name. */
  readonly origin: 'explicit' | 'bulk';
  /** Keys of the Secret that a profile takes for the same credential. Where it is required, any one of them will do. */
  readonly alternatives: readonly string[];
}

/** Stands for all keys of a Secret that cannot be read. No environment name, so nothing can be served under it. */
export const EVERY_KEY = '*';

const UNREAD: VolumeRead = { kind: 'fault', fault: 'secret-missing', code: 'ENOENT' };

/** What is known of a Secret; a volume that was not read yet counts as missing. */
export function readOf(reads: VolumeReads, secret: SecretName): VolumeRead {
  return reads.get(secretId(secret)) ?? UNREAD;
}

/** Every claim of every provider. Within one provider an explicit mapping replaces what it would take in bulk. */
export function candidates(config: Pick<Config, 'providers'>, reads: VolumeReads): Candidate[] {
  return config.providers.flatMap((provider) => {
    const explicit = provider.credentials.map(
      (credential): Candidate => ({ ...credential, provider, origin: 'explicit', alternatives: [] }),
    );
    const named = new Set(explicit.map(({ key }) => key));
    const bulk = provider.from.flatMap((source) => {
      const read = readOf(reads, source.secret);
      return source.mode === 'allKeys'
        ? allKeys(provider, source, read)
        : profileKeys(provider, source, read);
    });
    return [...explicit, ...bulk.filter(({ key }) => !named.has(key))];
  });
}

function bulkCandidate(
  provider: Provider,
  source: BulkSource,
  key: string,
  secretKey: string,
  required = false,
  alternatives: readonly string[] = [],
): Candidate {
  return {
    provider,
    origin: 'bulk',
    key,
    reference: { ...source.secret, key: secretKey },
    required,
    expiresAt: undefined,
    trim: source.trim,
    format: source.format.get(secretKey) ?? 'text',
    alternatives,
  };
}

/** Every key under its own or its new name; illegal names included, so that each is refused by name and none is lost. */
function allKeys(provider: Provider, source: BulkSource, read: VolumeRead): Candidate[] {
  // What a Secret holds that cannot be read is unknown: one refusal stands for all of it.
  if (read.kind === 'fault') return [bulkCandidate(provider, source, EVERY_KEY, EVERY_KEY)];
  const keys = [...read.generation.keys.entries()]
    .filter(([key, found]) => isPresent(found) && takesKey(source, key))
    .map(([key]) => key);
  // What is named and missing is refused by name.
  const named = [...source.rename.keys(), ...source.include.filter((glob) => !glob.includes('*'))];
  return [...new Set([...keys, ...named])]
    .filter((key) => takesKey(source, key))
    .map((key) => bulkCandidate(provider, source, source.rename.get(key) ?? key, key));
}

function isPresent(key: KeyRead | undefined): boolean {
  return key !== undefined && (key.kind === 'bytes' || key.fault !== 'key-missing');
}

/**
 * The keys that equal a declared env_var; where a credential has none of them, the key that equals its name,
 * under its first env_var. A credential that is not there at all is claimed only if the profile requires it.
 */
function profileKeys(provider: Provider, source: BulkSource, read: VolumeRead): Candidate[] {
  return provider.profileCredentials.flatMap((credential) => {
    const first = credential.envVars[0];
    if (first === undefined) return [];
    const claim = (key: string, secretKey: string, required: boolean, alternatives?: readonly string[]) =>
      bulkCandidate(provider, source, key, secretKey, required, alternatives);
    if (read.kind === 'fault') return [claim(first, first, credential.required)];
    const there = (key: string) => isPresent(read.generation.keys.get(key)) && takesKey(source, key);
    const present = credential.envVars.filter(there);
    if (present.length > 0) {
      return present.map((key, index) => claim(key, key, credential.required && index === 0, present));
    }
    if (there(credential.name)) return [claim(first, credential.name, credential.required)];
    return credential.required ? [claim(first, first, true)] : [];
  });
}
