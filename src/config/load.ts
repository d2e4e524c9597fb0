/** Files and environment → one frozen {@link Config}, or every mistake in them at once. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, type ConfigIssue, errorCode } from '../errors.ts';
import type {
  BulkSource,
  Config,
  Endpoint,
  ExplicitCredential,
  ListenAddress,
  Profile,
  Provider,
  Sandbox,
} from './config.ts';
import {
  configSchema,
  profileFileSchema,
  providerFileSchema,
  type RawConfig,
  type RawCredential,
  type RawProfile,
  type RawProvider,
} from './schema.ts';
import { parseTime } from './time.ts';
import { parseYaml, type YamlSource } from './yaml-source.ts';

/** The part of the environment that configuration may come from. */
export type Environment = Readonly<Record<string, string | undefined>>;

const YAML_FILE = /^[^.].*\.(ya?ml|json)$/;

/** Loads the configuration file, its provider files and the profiles. Throws {@link ConfigError} with all issues found. */
export function loadConfig(file: string, environment: Environment): Config {
  const source = onlyDocument(readYaml(file));
  const raw = source.validate(configSchema);
  const issues: ConfigIssue[] = [];
  const sandbox = loadSandbox(source, raw, environment, issues);
  const profiles = loadProfiles(raw.profilesDir, issues);
  const loaded = loadProviders(raw.providersDir, profiles, sandbox, issues);
  issues.push(...callerIssues(source, raw));
  issues.push(...claimIssues(loaded));
  if (issues.length > 0) throw new ConfigError(issues);

  return deepFreeze({
    file,
    sandbox,
    secretsRoot: raw.secretsRoot,
    providersDir: raw.providersDir,
    profilesDir: raw.profilesDir,
    socket: { path: raw.socket.path, mode: Number.parseInt(raw.socket.mode, 8), gid: raw.socket.gid },
    references: {
      allow: (raw.references.allow ?? [{ namespace: sandbox.namespace, name: '*', keys: ['*'] }]).map(
        (rule) => ({
          namespace: rule.namespace ?? sandbox.namespace,
          name: rule.name,
          keys: rule.keys,
        }),
      ),
    },
    callers: raw.callers.map((caller) => ({
      name: caller.name,
      uid: caller.uid,
      gid: caller.gid,
      exe: caller.exe,
      providers: caller.providers,
    })),
    agent: { uid: raw.agent.uid, gid: raw.agent.gid ?? raw.agent.uid },
    health: raw.health && { listen: listenAddress(raw.health.listen) },
    metrics: raw.metrics && { listen: listenAddress(raw.metrics.listen) },
    log: raw.log,
    audit: { path: raw.audit.path },
    reflection: raw.reflection,
    openshell: raw.openshell,
    boundary: {
      warn: raw.boundary.warn,
      trusted: raw.boundary.trusted.map((entry) => ({ uid: entry.uid, exe: entry.exe })),
    },
    providers: loaded.map(({ provider }) => provider),
  });
}

/** Every document of a file. Throws {@link ConfigError} where it cannot be read or is not YAML. */
export function readYaml(file: string): YamlSource[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError([
      {
        file,
        line: 0,
        column: 0,
        field: '',
        message: `cannot be read: ${errorCode(error)}`,
        hint: 'check the path, and that this user may read it',
      },
    ]);
  }
  return parseYaml(file, text);
}

function onlyDocument(documents: readonly YamlSource[]): YamlSource {
  const [first, second] = documents;
  if (first === undefined) throw new Error('parseYaml returned no document');
  if (second !== undefined) {
    throw new ConfigError([
      second.issueAt([], 'a second document begins here', 'keep the configuration in one document'),
    ]);
  }
  return first;
}

function loadSandbox(
  source: YamlSource,
  raw: RawConfig,
  environment: Environment,
  issues: ConfigIssue[],
): Sandbox {
  const field = (name: 'id' | 'name' | 'namespace'): string => {
    const variable = `SECRET_RESOLVER_SANDBOX_${name.toUpperCase()}`;
    const value = raw.sandbox[name] ?? environment[variable];
    if (value !== undefined && value !== '') return value;
    issues.push(
      source.issueAt(
        ['sandbox', name],
        'is not set',
        `write it here, or set ${variable} from the downward API`,
      ),
    );
    return '';
  };
  return { id: field('id'), name: field('name'), namespace: field('namespace') };
}

/** Files of a folder in a fixed order. In a ConfigMap mount the names that begin with a dot are kubelet's. */
function yamlFiles(directory: string, field: string, issues: ConfigIssue[]): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => YAML_FILE.test(name))
      .sort()
      .map((name) => join(directory, name));
  } catch (error) {
    issues.push({
      file: directory,
      line: 0,
      column: 0,
      field,
      message: `cannot be read: ${errorCode(error)}`,
      hint: 'mount the folder, or set the field to where it is',
    });
    return [];
  }
}

/** Runs `work` and keeps its issues with the others, so that one bad file does not hide the next. */
function collecting<T>(issues: ConfigIssue[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues);
    return undefined;
  }
}

/** Every profile of a folder, by id. */
function loadProfiles(directory: string | undefined, issues: ConfigIssue[]): Map<string, Profile> {
  const profiles = new Map<string, Profile>();
  if (directory === undefined) return profiles;
  for (const file of yamlFiles(directory, 'profilesDir', issues)) {
    for (const source of collecting(issues, () => readYaml(file)) ?? []) {
      const raw = collecting(issues, () => source.validate(profileFileSchema));
      if (raw === undefined) continue;
      if (profiles.has(raw.id)) {
        issues.push(
          source.issueAt(['id'], 'is the id of another profile too', 'give each profile an id of its own'),
        );
      }
      const seen = new Set<string>();
      raw.credentials.forEach((credential, index) => {
        for (const name of credential.env_vars) {
          if (seen.has(name)) {
            issues.push(
              source.issueAt(
                ['credentials', index, 'env_vars'],
                `declares ${name} a second time`,
                'keep environment names unique in a profile',
              ),
            );
          }
          seen.add(name);
        }
      });
      profiles.set(raw.id, profileFrom(raw));
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

interface LoadedProvider {
  readonly source: YamlSource;
  readonly provider: Provider;
}

function loadProviders(
  directory: string,
  profiles: ReadonlyMap<string, Profile>,
  sandbox: Sandbox,
  issues: ConfigIssue[],
): LoadedProvider[] {
  const loaded: LoadedProvider[] = [];
  const names = new Map<string, string>();
  for (const file of yamlFiles(directory, 'providersDir', issues)) {
    for (const source of collecting(issues, () => readYaml(file)) ?? []) {
      const raw = collecting(issues, () => source.validate(providerFileSchema))?.provider;
      if (raw === undefined) continue;
      const other = names.get(raw.name);
      if (other !== undefined) {
        issues.push(
          source.issueAt(
            ['provider', 'name'],
            `${raw.name} is the name of a provider in ${other} too`,
            'give each provider a name of its own',
          ),
        );
      }
      names.set(raw.name, file);
      loaded.push({ source, provider: providerFrom(source, raw, profiles.get(raw.type), sandbox, issues) });
    }
  }
  return loaded;
}

function providerFrom(
  source: YamlSource,
  raw: RawProvider,
  profile: Profile | undefined,
  sandbox: Sandbox,
  issues: ConfigIssue[],
): Provider {
  (raw.credentialsFrom ?? []).forEach((bulk, index) => {
    if (bulk.mode === 'providerProfileKeys' && profile === undefined) {
      issues.push(
        source.issueAt(
          ['provider', 'credentialsFrom', index, 'mode'],
          `there is no profile ${raw.type} to take keys from`,
          'add the profile to profilesDir, or use mode allKeys',
        ),
      );
    }
  });
  return {
    name: raw.name,
    type: raw.type,
    // The operator's own list wins over the profile's: it can only be narrower or deliberate.
    endpoints: raw.endpoints ?? profile?.endpoints ?? [],
    profileCredentials: profile?.credentials ?? [],
    credentials: Object.entries(raw.credentials ?? {}).map(([key, credential]) =>
      credentialFrom(source, key, credential, sandbox, issues),
    ),
    from: (raw.credentialsFrom ?? []).map(
      (bulk): BulkSource => ({
        secret: { namespace: bulk.source.namespace ?? sandbox.namespace, name: bulk.source.name },
        mode: bulk.mode,
        rename: new Map(Object.entries(bulk.rename ?? {})),
        trim: bulk.trim,
      }),
    ),
  };
}

function credentialFrom(
  source: YamlSource,
  key: string,
  raw: RawCredential,
  sandbox: Sandbox,
  issues: ConfigIssue[],
): ExplicitCredential {
  const { expiresAt } = raw;
  let expiry: ExplicitCredential['expiresAt'];
  if (typeof expiresAt === 'number') expiry = { atMs: expiresAt };
  else if (typeof expiresAt === 'object') expiry = { key: expiresAt.key };
  else if (expiresAt !== undefined) {
    const atMs = parseTime(expiresAt);
    if (atMs === undefined) {
      issues.push(
        source.issueAt(
          ['provider', 'credentials', key, 'expiresAt'],
          'is not a time',
          'write an RFC 3339 time such as 2027-01-31T00:00:00Z, or Unix milliseconds',
        ),
      );
    } else expiry = { atMs };
  }
  return {
    key,
    reference: {
      namespace: raw.source.namespace ?? sandbox.namespace,
      name: raw.source.name,
      key: raw.source.key,
    },
    required: raw.required,
    expiresAt: expiry,
    trim: raw.trim,
    format: raw.format,
  };
}

function callerIssues(source: YamlSource, raw: RawConfig): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const names = new Set<string>();
  raw.callers.forEach((caller, index) => {
    if (names.has(caller.name)) {
      issues.push(
        source.issueAt(
          ['callers', index, 'name'],
          'is the name of another caller too',
          'give each caller a name of its own',
        ),
      );
    }
    names.add(caller.name);
    if (caller.uid === raw.agent.uid) {
      issues.push(
        source.issueAt(
          ['callers', index, 'uid'],
          'is the UID of the agent, whom the boundary is against',
          'run the supervisor under a UID of its own',
        ),
      );
    }
  });
  return issues;
}

/** Names that a provider is sure to claim, or may claim by its profile: each may belong to one provider only. */
function claimIssues(loaded: readonly LoadedProvider[]): ConfigIssue[] {
  const owners = new Map<string, string>();
  const issues: ConfigIssue[] = [];
  for (const { source, provider } of loaded) {
    const claims = new Map<string, readonly PropertyKey[]>();
    provider.from.forEach((bulk, index) => {
      const path = ['provider', 'credentialsFrom', index];
      if (bulk.mode === 'providerProfileKeys') {
        for (const name of provider.profileCredentials.flatMap((credential) => credential.envVars))
          claims.set(name, path);
      }
      for (const name of bulk.rename.values()) {
        if (claims.has(name)) {
          issues.push(
            source.issueAt(
              [...path, 'rename'],
              `provider ${provider.name} claims ${name} twice`,
              'keep one of the two',
            ),
          );
        }
        claims.set(name, [...path, 'rename']);
      }
    });
    for (const { key } of provider.credentials) claims.set(key, ['provider', 'credentials', key]);
    for (const [key, path] of claims) {
      const owner = owners.get(key);
      if (owner !== undefined) {
        issues.push(
          source.issueAt(
            path,
            `${key} is claimed by provider ${owner} and by provider ${provider.name}`,
            'keep it in one of the two',
          ),
        );
      } else owners.set(key, provider.name);
    }
  }
  return issues;
}

function listenAddress(text: string): ListenAddress {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value) && !(value instanceof Map)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
