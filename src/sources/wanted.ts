import { type Config, partSecrets, type SecretName, secretId } from '../config/config.ts';
import type { Wanted } from './source.ts';

/** Which keys of a Secret the configuration can use. Keys that nothing in it names are never read into memory. */
export function wantedKeys(config: Pick<Config, 'providers' | 'parts'>, secret: SecretName): Wanted {
  const id = secretId(secret);
  const keys = new Set<string>();
  let all = false;
  for (const provider of config.providers) {
    for (const credential of provider.credentials) {
      if (secretId(credential.reference) !== id) continue;
      keys.add(credential.reference.key);
      if (credential.expiresAt !== undefined && 'key' in credential.expiresAt)
        keys.add(credential.expiresAt.key);
    }
    for (const bulk of provider.from) {
      if (secretId(bulk.secret) !== id) continue;
      if (bulk.mode === 'allKeys') all = true;
      else {
        for (const { name, envVars } of provider.profileCredentials)
          for (const key of [name, ...envVars]) keys.add(key);
      }
    }
  }
  for (const part of partSecrets(config)) {
    if (secretId(part) !== id) continue;
    for (const key of part.keys) {
      if (key.includes('*')) all = true;
      else keys.add(key);
    }
  }
  return { keys, all };
}
