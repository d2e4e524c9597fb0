import { type Config, partSecrets, type SecretName, secretId, takesKey } from '../config/config.ts';
import { matchGlob } from '../domain/glob.ts';
import type { Wanted } from './source.ts';

/** Which keys of a Secret the configuration can use. Keys that nothing in it names are never read into memory. */
export function wantedKeys(config: Pick<Config, 'providers' | 'parts'>, secret: SecretName): Wanted {
  const id = secretId(secret);
  const keys = new Set<string>();
  /** What takes keys that only the Secret's list tells. */
  const some: ((key: string) => boolean)[] = [];
  for (const provider of config.providers) {
    for (const credential of provider.credentials) {
      if (secretId(credential.reference) !== id) continue;
      keys.add(credential.reference.key);
      if (credential.expiresAt !== undefined && 'key' in credential.expiresAt)
        keys.add(credential.expiresAt.key);
    }
    for (const bulk of provider.from) {
      if (secretId(bulk.secret) !== id) continue;
      if (bulk.mode === 'allKeys') some.push((key) => takesKey(bulk, key));
      else {
        for (const { name, envVars } of provider.profileCredentials)
          for (const key of [name, ...envVars]) if (takesKey(bulk, key)) keys.add(key);
      }
    }
  }
  for (const part of partSecrets(config)) {
    if (secretId(part) !== id) continue;
    for (const glob of part.keys) {
      if (glob.includes('*')) some.push((key) => matchGlob(glob, key));
      else keys.add(glob);
    }
  }
  return { keys, all: some.length > 0, takes: (key) => some.some((takes) => takes(key)) };
}
