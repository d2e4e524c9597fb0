import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Provider } from '../../src/config/config.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';

/** Loads profiles, each with a provider that takes its keys, and returns the providers by profile id. */
export function loadWithProfiles(profiles: ReadonlyMap<string, string>): Map<string, Provider> {
  const folder = mkdtempSync(join(tmpdir(), 'profiles-'));
  try {
    const loaded = new Map<string, Provider>();
    mkdirSync(join(folder, 'profiles'));
    for (const [id, text] of profiles) writeFileSync(join(folder, 'profiles', `${id}.yaml`), text);
    // One configuration for each provider: profiles may declare the same name, but only one provider may serve it.
    for (const id of profiles.keys()) {
      const providersDir = join(folder, `providers-${id}`);
      const source = { type: 'kubernetesSecret', name: 'credentials' };
      const provider = { name: id, type: id, credentialsFrom: [{ source, mode: 'providerProfileKeys' }] };
      mkdirSync(providersDir);
      writeFileSync(join(providersDir, 'provider.yaml'), stringify({ provider }));
      const config = {
        sandbox: { id: 'sandbox-1', name: 'sandbox', namespace: 'tenant' },
        providersDir,
        profilesDir: join(folder, 'profiles'),
      };
      writeFileSync(join(folder, 'config.yaml'), stringify(config));
      const [only] = loadConfig(join(folder, 'config.yaml'), {}).providers;
      if (only !== undefined) loaded.set(id, only);
    }
    return loaded;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
