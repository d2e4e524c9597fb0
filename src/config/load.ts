/** Files and environment → one frozen {@link Config}, or every mistake in them at once. */
import { z } from 'zod';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { SANDBOX_ID_SOURCES } from '../domain/sandbox-id.ts';
import { type Caller, type Config, NO_AGENT, type Sandbox, type SocketSettings } from './config.ts';
import { conflictIssues, listenAddress } from './conflicts.ts';
import { ConfigFiles } from './files.ts';
import { configSchemaWith, type Registered } from './part.ts';
import { noPlaces, type Places } from './places.ts';
import { loadProfiles } from './profile/load.ts';
import { claimIssues, loadProviders } from './providers.ts';
import { readYaml } from './read.ts';
import { configSchema, namespaceName, type RawConfig } from './schema.ts';
import type { YamlSource } from './yaml-source.ts';

/** The part of the environment that configuration may come from. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Folders to read in place of those that the configuration names, which are folders of the container. */
export interface Folders {
  /** Notes what is read. */
  readonly files?: ConfigFiles;
  /** Notes where what is read is written. */
  readonly places?: Places;
  readonly providersDir?: string;
  readonly profilesDir?: string;
}

/** Reads the configuration file, its provider files and the profiles. Throws {@link ConfigError} with all issues found. */
export function readConfig(
  file: string,
  environment: Environment,
  { parts, sourceTypes }: Registered,
  folders: Folders = {},
): Config {
  const { files = new ConfigFiles(), places = noPlaces() } = folders;
  const source = onlyDocument(readYaml(file, files));
  refuseOtherKinds(source);
  places.config = source;
  const raw = source.validate(configSchemaWith(parts)) as RawConfig & Readonly<Record<string, unknown>>;
  const issues: ConfigIssue[] = [];
  const sandbox = loadSandbox(source, raw, environment, issues);
  const profiles = loadProfiles(
    files,
    places.profiles,
    raw.profilesDir && (folders.profilesDir ?? raw.profilesDir),
    source,
    issues,
  );
  const loaded = loadProviders(
    files,
    places.providers,
    folders.providersDir ?? raw.providersDir,
    source,
    { profiles, sandbox, sourceTypes },
    issues,
  );
  const agent = raw.agent.present ? { uid: raw.agent.uid, gid: raw.agent.gid ?? raw.agent.uid } : NO_AGENT;
  issues.push(...callerIssues(source, ['callers'], raw.callers, agent.uid));
  const context = { source, sandbox, profiles, issues };
  const settings = parts.flatMap(({ field, load }) =>
    raw[field] === undefined ? [] : [[field, load(raw[field], context)] as const],
  );
  for (const [field, { callers = [] }] of settings)
    issues.push(...callerIssues(source, [field, 'callers'], callers, agent.uid));
  issues.push(...claimIssues(loaded), ...conflictIssues(source, raw, settings));
  if (issues.length > 0) throw new ConfigError(issues);

  return deepFreeze({
    file,
    sandbox,
    secretsRoot: raw.secretsRoot,
    providersDir: raw.providersDir,
    profilesDir: raw.profilesDir,
    socket: socketSettings(raw.socket),
    references: {
      allow: (raw.references.allow ?? [{ namespace: sandbox.namespace, name: '*', keys: ['*'] }]).map(
        (rule) => ({ ...rule, namespace: rule.namespace ?? sandbox.namespace }),
      ),
    },
    callers: raw.callers,
    agent,
    health: raw.health && { listen: listenAddress(raw.health.listen) },
    metrics: raw.metrics && { listen: listenAddress(raw.metrics.listen) },
    egress: { ...raw.egress, listen: listenAddress(raw.egress.listen) },
    log: raw.log,
    audit: raw.audit,
    parts: Object.fromEntries(settings),
    boundary: raw.boundary,
    providers: loaded.map(({ provider }) => provider),
  });
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

/** A provider, a profile or a manifest in place of the configuration would be forty unknown fields. */
function refuseOtherKinds(source: YamlSource): void {
  const root = Object(source.validate(z.unknown()));
  const has = (...fields: string[]) => fields.every((field) => Object.hasOwn(root, field));
  const refuse = (message: string, hint: string) => {
    throw new ConfigError([source.issueAt([], message, hint)]);
  };
  if (has('provider'))
    refuse('is a provider file', 'give the configuration, whose providersDir is the folder of this file');
  if (Array.isArray(root) || has('profiles') || has('id', 'display_name') || has('id', 'credentials'))
    refuse(
      'is a provider profile',
      'give the configuration, or run `secret-resolver profile lint` on this file',
    );
  if (has('apiVersion', 'kind'))
    refuse(
      'is a Kubernetes manifest',
      'give the file that is in its data, or run `secret-resolver lint` on it',
    );
}

const SANDBOX_TEXT = configSchema.shape.sandbox.unwrap().shape.id;

function loadSandbox(
  source: YamlSource,
  raw: RawConfig,
  environment: Environment,
  issues: ConfigIssue[],
): Sandbox {
  const report = source.reporter(issues);
  const field = (name: 'id' | 'name' | 'namespace'): string => {
    const variable =
      (name === 'id'
        ? SANDBOX_ID_SOURCES.find((from) => Boolean(environment[from.variable]))?.variable
        : undefined) ?? `SECRET_RESOLVER_SANDBOX_${name.toUpperCase()}`;
    const value = raw.sandbox[name] ?? environment[variable];
    if (value !== undefined && value !== '') {
      // The file is checked by its schema; the environment is not.
      if (!(name === 'namespace' ? namespaceName : SANDBOX_TEXT).safeParse(value).success) {
        report(
          ['sandbox', name],
          `${variable} is not a ${name === 'namespace' ? 'Kubernetes namespace' : `sandbox ${name}`}`,
          'set it from the downward API: at most 253 characters, a namespace at most 63',
        );
      }
      return value;
    }
    report(['sandbox', name], 'is not set', `write it here, or set ${variable} from the downward API`);
    return '';
  };
  return { id: field('id'), name: field('name'), namespace: field('namespace') };
}

function callerIssues(
  source: YamlSource,
  path: readonly string[],
  callers: readonly Pick<Caller, 'name' | 'uid'>[],
  agentUid: number,
): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const report = source.reporter(issues);
  const names = new Set<string>();
  callers.forEach((caller, index) => {
    if (names.has(caller.name)) {
      report(
        [...path, index, 'name'],
        'is the name of another caller too',
        'give each caller a name of its own',
      );
    }
    names.add(caller.name);
    if (caller.uid === agentUid) {
      report(
        [...path, index, 'uid'],
        'is the UID of the agent, whom the boundary is against',
        'run the supervisor under a UID of its own; where the pod has no agent, write agent: {present: false}',
      );
    }
  });
  return issues;
}

export function socketSettings(raw: RawConfig['socket']): SocketSettings {
  return { path: raw.path, mode: Number.parseInt(raw.mode, 8), gid: raw.gid };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value) && !(value instanceof Map)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
