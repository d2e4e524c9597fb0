/** The configuration and inputs that the tests of manifests share. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../src/consumers/load-config.ts';
import type { InjectRequest } from '../../src/manifest/inject.ts';
import type { RoleChoice } from '../../src/manifest/roles.ts';

const HERE = import.meta.dirname;
export const CONFIG_FILE = join(HERE, 'config/config.yaml');

/** Each input of the golden tests, with what the command line says about it. */
export const INPUTS: readonly { name: string; choice: RoleChoice }[] = readdirSync(join(HERE, 'input'))
  .filter((name) => name.endsWith('.yaml'))
  .sort()
  .map((name) => ({ name, choice: name === 'sandbox-template.yaml' ? { noAgent: true } : {} }));

export function readInput(name: string): string {
  return readFileSync(join(HERE, 'input', name), 'utf8');
}

/** The same for the tests in which inject adds an Envoy. */
export const ENVOY_INPUTS: readonly { name: string; choice: RoleChoice }[] = [
  { name: 'deployment.yaml', choice: {} },
  { name: 'pod.yaml', choice: { supervisors: ['envoy'] } },
];

export function readEnvoyInput(name: string): string {
  return readInput(join('envoy', name));
}

export function requestFor(text: string, changes: Partial<InjectRequest> = {}): InjectRequest {
  return {
    file: 'input.yaml',
    text,
    version: '0.1.0',
    choice: {},
    settings: {
      image: 'registry.example/secret-resolver:0.1.0',
      envoyImage: undefined,
      imagePullPolicy: undefined,
      imagePullSecrets: undefined,
      resources: undefined,
      selfTestResources: undefined,
      uid: 10771,
      configMap: 'secret-resolver-config',
      profilesConfigMap: 'secret-resolver-profiles',
      providerFiles: ['gitlab.yaml', 'models.yaml'],
      profileFiles: ['gitlab.yaml'],
    },
    configFor: (namespace) =>
      loadConfig(
        CONFIG_FILE,
        {
          SECRET_RESOLVER_SANDBOX_ID: 'test',
          SECRET_RESOLVER_SANDBOX_NAME: 'test',
          SECRET_RESOLVER_SANDBOX_NAMESPACE: namespace,
        },
        { providersDir: join(HERE, 'config/providers'), profilesDir: join(HERE, 'config/profiles') },
      ),
    replaceEdited: false,
    ...changes,
  };
}

/** Whether every line of `part` is in `whole`, in order: what adding lines leaves true. */
export function isSubsequence(part: string, whole: string): boolean {
  const lines = whole.split('\n');
  let at = 0;
  for (const line of part.split('\n')) {
    at = lines.indexOf(line, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
