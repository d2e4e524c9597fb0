/**
 * What is certain to be refused, or to have no effect, whatever the Secrets hold. Pure: no I/O, no clock (`now` is an
 * argument). It decides by the same functions as the resolution of real values.
 */
import {
  type BulkSource,
  type Config,
  type ExplicitCredential,
  type Provider,
  type SecretReference,
  secretId,
  takesKey,
} from '../config/config.ts';
import type { ConfigFinding } from '../config/finding.ts';
import type { Places } from '../config/places.ts';
import { endpointWarnings, lintProfile } from '../config/profile/lint.ts';
import type { YamlSource } from '../config/yaml-source.ts';
import { matchGlob } from '../domain/glob.ts';
import { nearest } from '../domain/nearest.ts';
import { shownName } from '../domain/shown-name.ts';
import { nameFault } from './names.ts';
import { namesSecret, referenceAllowed, secretAllowed } from './references.ts';
import { REMEDIES } from './refusal.ts';

export interface PredictOptions {
  readonly config: Config;
  readonly places: Places;
  /** Unix milliseconds. */
  readonly now: number;
  /** Whom the resolver runs as: the only UID whose programs it can read. */
  readonly resolverUid: number;
  /** Files in the folders that are not read. */
  readonly passedBy: readonly string[];
  readonly enforced: ReadonlySet<string>;
}

type Path = readonly PropertyKey[];
/** `certain`: a required credential, or an exception of the operator's, comes to nothing, which is an error. */
type Report = (path: Path, message: string, hint: string, certain?: boolean) => void;

const PASSED_BY_HINT =
  'give it a name that ends in .yaml, .yml or .json and does not begin with a dot, or remove it';

/** In the order of the files. */
export function predict(options: PredictOptions): ConfigFinding[] {
  const { config, places } = options;
  const findings: ConfigFinding[] = [];
  const reportTo =
    (source: YamlSource): Report =>
    (path, message, hint, certain = false) => {
      const issue = source.issueAt(path, message, hint);
      findings.push({ severity: certain ? 'error' : 'warning', by: 'secret-resolver', issue });
    };
  if (places.config !== undefined) predictConfig(options, places.config, reportTo(places.config));
  for (const provider of config.providers) {
    const source = places.providers.get(provider.name);
    if (source !== undefined) predictProvider(options, provider, source, reportTo(source));
  }
  for (const file of options.passedBy) {
    const issue = { file, line: 0, column: 0, field: '', message: 'is not read', hint: PASSED_BY_HINT };
    findings.push({ severity: 'warning', by: 'secret-resolver', issue });
  }
  // What OpenShell refuses in a profile is no obstacle to this resolver; what this resolver refuses was an error before.
  for (const profile of places.profiles.values())
    findings.push(
      ...lintProfile(profile).findings.map((finding) => ({ ...finding, severity: 'warning' as const })),
    );
  return findings;
}

function predictConfig(
  { config, resolverUid, enforced }: PredictOptions,
  source: YamlSource,
  report: Report,
): void {
  const { callers, boundary, references, providers, parts } = config;
  const names = providers.map(({ name }) => name);
  // A gateway's driver has callers and Secrets of its own.
  const servesOthers = Object.values(parts).some((part) => part?.mayRead !== undefined);
  if (names.length === 0 && !servesOthers)
    report(['providersDir'], 'has no provider file, so nothing is served', 'add a file that ends in .yaml');
  if (callers.length === 0 && !servesOthers)
    report(['callers'], 'lists nobody, so nobody is served', 'list the supervisor');
  predictSocket(config, resolverUid, report);
  callers.forEach(({ providers: patterns, uid, exe }, index) => {
    if (patterns.length === 0)
      report(
        ['callers', index, 'providers'],
        'lists no provider, so this caller is served nothing',
        'list the providers, or ["*"]',
      );
    patterns.forEach((pattern, at) => {
      if (names.some((name) => matchGlob(pattern, name))) return;
      const hint =
        nearest(pattern, names) ?? `the providers are ${names.map(shownName).join(', ') || 'none'}`;
      report(['callers', index, 'providers', at], 'matches no provider', hint);
    });
    reportExe(['callers', index], uid, exe);
  });
  boundary.trusted.forEach(({ uid, exe }, index) => {
    reportExe(['boundary', 'trusted', index], uid, exe);
  });
  boundary.warn.forEach((id, index) => {
    if (enforced.has(id)) return;
    const hint = nearest(id, [...enforced]) ?? '`secret-resolver check` lists the ids';
    report(
      ['boundary', 'warn', index],
      'is not the id of an enforced check, so it waives nothing',
      hint,
      true,
    );
  });
  if (source.entries(['references', 'allow']) !== undefined)
    references.allow.forEach((rule, index) => {
      if (!rulesOut(config, rule)) return;
      report(
        ['references', 'allow', index],
        'allows nothing that is referred to',
        'remove it, or check its spelling',
      );
    });
  for (const field of ['health', 'metrics'] as const) {
    if (/^(localhost|127\.|::1$)/.test(config[field]?.listen.host ?? ''))
      report(
        [field, 'listen'],
        `is reached from inside the pod only, not by ${field === 'health' ? "kubelet's probes" : 'Prometheus'}`,
        'write "[::]:PORT", unless that is meant',
      );
  }

  function reportExe(path: Path, uid: number, exe: string | undefined): void {
    if (exe === undefined || uid === resolverUid) return;
    report(
      [...path, 'exe'],
      `never matches: a resolver of UID ${resolverUid} cannot read the program of UID ${uid}`,
      'remove exe, or give --resolver-uid if it runs as another UID',
      true,
    );
  }
}

/** A caller that is root, as OpenShell's supervisor, may connect whatever the mode is. */
function predictSocket({ socket, callers }: Config, resolverUid: number, report: Report): void {
  if ((socket.mode & 0o022) !== 0 || callers.length === 0) return;
  if (callers.some(({ uid }) => uid === 0 || uid === resolverUid)) return;
  report(
    ['socket', 'mode'],
    'lets the resolver alone connect, so no caller is served',
    'write "0666": `callers` decides who is served; or "0660" with socket.gid',
  );
}

/** Whether nothing in the configuration refers to what a rule allows. */
function rulesOut(config: Config, rule: Config['references']['allow'][number]): boolean {
  const explicit = config.providers.flatMap(({ credentials }) =>
    credentials.map(({ reference }) => reference),
  );
  const whole = [
    ...config.providers.flatMap(({ from }) => from.map(({ secret }) => secret)),
    ...Object.values(config.parts).flatMap((part) => part?.mayRead ?? []),
  ];
  return (
    !explicit.some((reference) => referenceAllowed([rule], reference)) &&
    !whole.some((secret) => namesSecret(rule, secret))
  );
}

function predictProvider(
  options: PredictOptions,
  provider: Provider,
  source: YamlSource,
  report: Report,
): void {
  const { name, type, endpoints, credentials, from, profileCredentials } = provider;
  const bulkRequired = ({ mode }: BulkSource) =>
    mode === 'providerProfileKeys' && profileCredentials.some(({ required }) => required);
  const profiles = [...options.places.profiles.keys()];
  if (!profiles.includes(type) && type !== 'custom')
    report(
      ['provider', 'type'],
      `there is no profile ${shownName(type)}`,
      nearest(type, profiles) ?? 'add it to profilesDir, or write custom',
    );
  if (endpoints.length === 0)
    report(
      ['provider', 'endpoints'],
      `provider ${shownName(name)} has no endpoints, neither here nor in a profile: each of its credentials is refused`,
      'write endpoints: [{host: api.example.com}]',
      credentials.some(({ required }) => required) || from.some(bulkRequired),
    );
  if (source.entries(['provider', 'endpoints']) !== undefined)
    endpoints.forEach((endpoint, index) => {
      for (const { field, message, hint } of endpointWarnings(endpoint))
        report(['provider', 'endpoints', index, field], message, hint);
    });
  for (const credential of credentials) predictCredential(options, credential, report);
  predictSpelling(provider, report);
  from.forEach((bulk, index) => {
    const path = ['provider', 'credentialsFrom', index];
    if (!secretAllowed(options.config.references.allow, bulk.secret))
      report([...path, 'source'], ...notAllowed(bulk.secret), bulkRequired(bulk));
    else if (bulk.mode === 'providerProfileKeys') predictProfileKeys(options, provider, bulk, path, report);
    predictKeys(provider, bulk, path, report);
    predictWhole(options.config.providers, bulk, path, report);
  });
}

/** Keys of a whole Secret that are certain to be taken by none, or by two. */
function predictWhole(providers: readonly Provider[], bulk: BulkSource, path: Path, report: Report): void {
  const { include, exclude } = bulk;
  // A glob that matches the text of another matches whatever that one does.
  if (include.every((glob) => exclude.some((other) => matchGlob(other, glob))))
    report(path, 'takes nothing: include and exclude leave every key out', 'remove one of the two');
  const isWhole = (each: BulkSource) =>
    each.mode === 'allKeys' && each.include.includes('*') && each.exclude.length === 0;
  if (!isWhole(bulk)) return;
  for (const { name, from } of providers)
    if (
      from.some((each) => each !== bulk && isWhole(each) && secretId(each.secret) === secretId(bulk.secret))
    )
      report(
        path,
        `takes the same keys as provider ${shownName(name)}, so those without a new name are refused: claimed-twice`,
        'take the Secret once, or divide its keys by include and exclude',
      );
}

function notAllowed(secret: SecretReference | BulkSource['secret']): [string, string] {
  const key = 'key' in secret ? `/${secret.key}` : '';
  return [
    `refers to ${secretId(secret)}${key}, which references.allow does not list`,
    `list {namespace: ${secret.namespace}, name: ${secret.name}} there, or remove the reference`,
  ];
}

function predictCredential(
  { config, now }: PredictOptions,
  credential: ExplicitCredential,
  report: Report,
): void {
  const { key, reference, required, expiresAt } = credential;
  const path = ['provider', 'credentials', key];
  const fault = nameFault(key);
  if (fault !== undefined) report(path, `is refused: ${fault}`, REMEDIES[fault], required);
  if (!referenceAllowed(config.references.allow, reference))
    report([...path, 'source'], ...notAllowed(reference), required);
  if (expiresAt !== undefined && 'atMs' in expiresAt && expiresAt.atMs <= now)
    report(
      [...path, 'expiresAt'],
      'is in the past, so the credential is refused',
      'write the time when it ends',
      required,
    );
  if (expiresAt !== undefined && 'key' in expiresAt && expiresAt.key === reference.key)
    report(
      [...path, 'expiresAt', 'key'],
      'is the key of the value itself, which is no time, so the credential is refused',
      'write the key that holds the time',
      required,
    );
}

/** The kernel and OpenShell tell TOKEN from token: programs would look for the one that the profile declares. */
function predictSpelling({ credentials, profileCredentials }: Provider, report: Report): void {
  const own = new Set(credentials.map(({ key }) => key));
  const declared = profileCredentials.flatMap(({ envVars }) => envVars).filter((name) => !own.has(name));
  for (const { key } of credentials) {
    const meant = declared.find((name) => name.toLowerCase() === key.toLowerCase());
    if (meant === undefined) continue;
    const message = 'differs in its capitals from what the profile declares';
    report(['provider', 'credentials', key], message, `write ${shownName(meant)}`);
  }
}

/** Of a profile's credential any one of its keys will do: it is certain to be refused where none may be referred to. */
function predictProfileKeys(
  { config }: PredictOptions,
  { profileCredentials }: Provider,
  bulk: BulkSource,
  path: Path,
  report: Report,
): void {
  for (const { name, envVars, required } of profileCredentials) {
    const keys = [...envVars, name].filter((key) => takesKey(bulk, key));
    const allowed = keys.filter((key) => referenceAllowed(config.references.allow, { ...bulk.secret, key }));
    if (envVars.length > 0 && allowed.length === 0)
      report(
        path,
        `takes no key for ${shownName(name)} of the profile`,
        `allow one of ${keys.map(shownName).join(', ') || envVars.map(shownName).join(', ')} in references.allow and include`,
        required,
      );
  }
}

function predictKeys(provider: Provider, bulk: BulkSource, path: Path, report: Report): void {
  const own = new Set(provider.credentials.map(({ key }) => key));
  const leftOut = (field: string, key: string) =>
    report(
      [...path, field, key],
      'has no effect: include and exclude leave the key out',
      'remove one of the two',
    );
  for (const [key, name] of bulk.rename) {
    const fault = nameFault(name);
    if (!takesKey(bulk, key)) leftOut('rename', key);
    else if (own.has(name))
      report(
        [...path, 'rename', key],
        `has no effect: ${shownName(name)} is a credential of its own above`,
        'rename it to another name, or remove one of the two',
      );
    else if (fault !== undefined) report([...path, 'rename', key], `is refused: ${fault}`, REMEDIES[fault]);
  }
  for (const key of bulk.format.keys()) if (!takesKey(bulk, key)) leftOut('format', key);
  bulk.include.forEach((key, index) => {
    if (key.includes('*') || bulk.rename.has(key)) return;
    const fault = bulk.mode === 'allKeys' ? nameFault(key) : undefined;
    if (!takesKey(bulk, key))
      report([...path, 'include', index], 'is excluded, too', 'remove one of the two');
    else if (fault !== undefined)
      report([...path, 'include', index], `is refused: ${fault}`, REMEDIES[fault]);
  });
}
