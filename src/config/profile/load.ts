/** OpenShell provider profiles: what we use of them. */
import type { ConfigIssue } from '../../domain/errors.ts';
import { shownName } from '../../domain/shown-name.ts';
import type { Endpoint, Profile } from '../config.ts';
import type { ConfigFiles } from '../files.ts';
import { collecting, readYaml, yamlFiles } from '../read.ts';
import type { YamlSource } from '../yaml-source.ts';
import { profileSources } from './documents.ts';
import { profileFileSchema, type RawProfile } from './schema.ts';

/** Every profile of a folder, by id. */
export function loadProfiles(
  files: ConfigFiles,
  places: Map<string, YamlSource>,
  directory: string | undefined,
  config: YamlSource,
  issues: ConfigIssue[],
): Map<string, Profile> {
  const profiles = new Map<string, Profile>();
  if (directory === undefined) return profiles;
  for (const file of yamlFiles(files, directory, config, 'profilesDir', issues)) {
    for (const source of collecting(issues, () => profileSources(readYaml(file, files))) ?? []) {
      const raw = collecting(issues, () => source.validate(profileFileSchema));
      if (raw === undefined) continue;
      const report = source.reporter(issues);
      if (profiles.has(raw.id))
        report(['id'], 'is the id of another profile too', 'give each profile an id of its own');
      const seen = new Set<string>();
      raw.credentials.forEach((credential, index) => {
        for (const name of credential.env_vars) {
          if (seen.has(name)) {
            report(
              ['credentials', index, 'env_vars'],
              `declares ${shownName(name)} a second time`,
              'keep environment names unique in a profile',
            );
          }
          seen.add(name);
        }
      });
      profiles.set(raw.id, profileFrom(raw));
      places.set(raw.id, source);
    }
  }
  return profiles;
}

function profileFrom(raw: RawProfile): Profile {
  return {
    id: raw.id,
    credentials: raw.credentials.map((credential) => ({
      name: credential.name,
      envVars: credential.env_vars,
      required: credential.required,
    })),
    // A profile binds each credential to every endpoint × port.
    endpoints: raw.endpoints.flatMap((endpoint) =>
      portsOf(endpoint).map((port): Endpoint => ({ host: endpoint.host, port, path: endpoint.path })),
    ),
  };
}

/** An empty `ports`, which OpenShell writes where there is none, leaves `port` in force. */
function portsOf(endpoint: RawProfile['endpoints'][number]): readonly number[] {
  return endpoint.ports?.length ? endpoint.ports : [endpoint.port ?? 443];
}
