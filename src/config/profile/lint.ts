/**
 * What is wrong with a provider profile. No I/O.
 *
 * An error is what OpenShell or this resolver refuses, or what makes a credential never resolve; each finding says which
 * of them. A warning is what works and is seldom meant, or what the two read differently.
 */
import { ConfigError, type ConfigIssue } from '../../domain/errors.ts';
import { type PathDifference, pathDifferences } from '../../domain/glob.ts';
import { isSteeringName } from '../../domain/names.ts';
import type { ConfigFinding } from '../finding.ts';
import { parseYaml, type YamlSource } from '../yaml-source.ts';
import { profileSources } from './documents.ts';
import { lintAsOpenShell } from './openshell-rules.ts';
import { KNOWN_FIELDS, openShellProfileSchema, openShellTags } from './openshell-schema.ts';
import { profileFileSchema, type RawProfile } from './schema.ts';

/** Most credentials that OpenShell takes of one provider. */
const MAX_CREDENTIALS = 32;

type Report = (
  severity: ConfigFinding['severity'],
  path: readonly PropertyKey[],
  message: string,
  hint: string,
) => void;

interface LintedProfile {
  readonly source: YamlSource;
  /** Undefined where the resolver cannot load the profile. */
  readonly id: string | undefined;
  readonly findings: ConfigFinding[];
}

/** Checks every profile of a file. Throws {@link ConfigError} where the text is not YAML. */
export function lintProfiles(file: string, text: string): LintedProfile[] {
  const documents = parseYaml(file, text);
  const sources = profileSources(documents);
  const theirs = profileSources(parseYaml(file, text, openShellTags));
  const linted = sources.map((source, index) => ({
    source,
    ...lintProfile(source, theirs[index] ?? source),
  }));
  const [first] = linted;
  const report = (severity: ConfigFinding['severity'], message: string, hint: string) =>
    first?.findings.unshift({ severity, by: 'OpenShell', issue: first.source.issueAt([], message, hint) });
  if (text.startsWith('\uFEFF'))
    report('error', 'begins with a byte order mark', 'save the file as UTF-8 without one');
  if (sources.length > 1 || first?.source !== documents[0])
    report(
      'warning',
      'is in a list or among several documents; OpenShell imports one profile per file',
      'write each profile to a file of its own before you import it',
    );
  return linted;
}

/** Checks one profile; `asOpenShell` is what OpenShell's YAML reader makes of it. */
export function lintProfile(source: YamlSource, asOpenShell = source): Omit<LintedProfile, 'source'> {
  const theirs: ConfigFinding[] = [];
  const ours: ConfigFinding[] = [];
  const refused = (by: ConfigFinding['by'], issues: readonly ConfigIssue[]) =>
    issues.map((issue): ConfigFinding => ({ severity: 'error', by, issue }));
  const shape = attempt(() => asOpenShell.validate(openShellProfileSchema));
  if (shape instanceof ConfigError) theirs.push(...refused('OpenShell', shape.issues));
  else
    lintAsOpenShell(shape, (path, message, hint) =>
      theirs.push({ severity: 'error', by: 'OpenShell', issue: source.issueAt(path, message, hint) }),
    );
  const profile = attempt(() => source.validate(profileFileSchema));
  if (profile instanceof ConfigError) ours.push(...refused('secret-resolver', profile.issues));
  else
    lintAsResolver(profile, (severity, path, message, hint) =>
      ours.push({ severity, by: 'secret-resolver', issue: source.issueAt(path, message, hint) }),
    );
  // What both refuse is one mistake.
  const places = new Set(theirs.map(({ issue: { field } }) => field));
  const both = ours.filter(({ severity, issue }) => severity === 'error' && places.has(issue.field));
  const fields = new Set(both.map(({ issue: { field } }) => field));
  const findings = [
    ...theirs.map((finding) =>
      fields.has(finding.issue.field) ? { ...finding, by: 'both' as const } : finding,
    ),
    ...ours.filter((finding) => !both.includes(finding)),
  ];
  return {
    id: profile instanceof ConfigError ? undefined : profile.id,
    findings: findings.sort((a, b) => a.issue.line - b.issue.line || a.issue.column - b.issue.column),
  };
}

function attempt<T>(work: () => T): T | ConfigError {
  try {
    return work();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

function lintAsResolver(profile: RawProfile, report: Report): void {
  lintFields(profile, report);
  lintCredentials(profile, report);
  lintEndpoints(profile, report);
}

function lintFields(profile: RawProfile, report: Report): void {
  const unknown = (object: object, known: readonly string[], path: readonly PropertyKey[]) => {
    for (const field of Object.keys(object).filter((name) => !known.includes(name))) {
      const hint = `check its spelling; known here: ${known.join(', ')}`;
      report('warning', [...path, field], 'is not a field of a profile and has no effect', hint);
    }
  };
  unknown(profile, KNOWN_FIELDS.profile, []);
  profile.credentials.forEach((credential, index) => {
    unknown(credential, KNOWN_FIELDS.credential, ['credentials', index]);
  });
  profile.endpoints.forEach((endpoint, index) => {
    unknown(endpoint, KNOWN_FIELDS.endpoint, ['endpoints', index]);
  });
}

function lintCredentials({ credentials }: RawProfile, report: Report): void {
  credentials.forEach((credential, index) => {
    const path = ['credentials', index];
    if (credential.env_vars.length === 0 && credential.token_grant === undefined)
      report(
        'error',
        path,
        'has no env_vars, so no key of a Secret can be it',
        'name at least one in env_vars',
      );
    credential.env_vars.forEach((name, position) => {
      if (isSteeringName(name))
        report(
          'error',
          [...path, 'env_vars', position],
          'is reserved: it controls how programs start or connect',
          'choose another name',
        );
    });
    if (typeof credential.auth_style === 'string' && credential.auth_style.trim().toLowerCase() === 'path')
      report(
        'warning',
        [...path, 'auth_style'],
        'places the credential in a path, where OpenShell 0.0.x cannot resolve the stable handles that this resolver sends',
        'send it in a header or a query parameter, or through the client library',
      );
  });
  const names = new Set(credentials.flatMap(({ env_vars }) => env_vars)).size;
  if (names > MAX_CREDENTIALS)
    report(
      'error',
      ['credentials'],
      `declares ${names} environment names; OpenShell's gateway takes ${MAX_CREDENTIALS} of a provider`,
      'split the profile',
    );
}

function lintEndpoints(profile: RawProfile, report: Report): void {
  if (profile.endpoints.length === 0 && profile.credentials.length > 0) {
    report(
      'warning',
      ['endpoints'],
      'declares no endpoint, so its credentials are withheld',
      'name the hosts that may receive them, here or in the provider file',
    );
  }
  const seen = new Set<string>();
  profile.endpoints.forEach((endpoint, index) => {
    const path = ['endpoints', index];
    const { host, port, ports = [] } = endpoint;
    if (port !== undefined && port !== 0 && ports.length > 0 && !ports.includes(port)) {
      report('error', [...path, 'port'], 'is not in ports, which alone counts', 'keep one of the two fields');
    }
    for (const each of endpointWarnings(endpoint)) {
      report('warning', [...path, each.field], each.message, each.hint);
    }
    for (const each of ports.length > 0 ? ports : [port ?? 443]) {
      const name = `${host.toLowerCase()}:${each}${endpoint.path}`;
      if (seen.has(name)) report('warning', path, 'duplicate endpoint', 'keep one of the two');
      seen.add(name);
    }
  });
}

const PATH_DIFFERENCES: Readonly<Record<PathDifference, { message: string; hint: string }>> = {
  'wider-there': {
    message: 'matches more in OpenShell than in the client library: its "*" also matches "/"',
    hint: 'write a literal path, or one that ends in "/**"',
  },
  'wider-here': {
    message: 'matches less in OpenShell than in the client library: OpenShell reads it literally',
    hint: 'write a literal path before "/**", and "**" as a whole segment',
  },
  class: {
    message: 'has brackets, which are a class of characters to OpenShell and literal to the client library',
    hint: 'write one endpoint for each path',
  },
  'nothing-there': {
    message: 'matches nothing in OpenShell: a request has these characters percent-encoded or loses them',
    hint: 'end the path before them, with "/**"',
  },
};

/** What is seldom meant in an endpoint, and what OpenShell and the client library read differently. */
export function endpointWarnings({ host, path }: { readonly host: string; readonly path: string }) {
  const found: { readonly field: 'host' | 'path'; readonly message: string; readonly hint: string }[] = [];
  const labels = host.split('.');
  if (labels.slice(-2).some((label) => label.includes('*')) && !/^[\d.]+$/.test(host))
    found.push({
      field: 'host',
      message: 'is a glob over domains of other people',
      hint: 'spell out at least the last two labels',
    });
  if (labels.includes('**'))
    found.push({
      field: 'host',
      message: 'has "**", which is one label to the client library and any number to OpenShell',
      hint: 'write one endpoint for each depth',
    });
  if (/[?[\]]/.test(host))
    found.push({
      field: 'host',
      message: 'has "?" or brackets, which are a glob to OpenShell and literal to the client library',
      hint: 'use "*", which stands for any text within a label',
    });
  for (const difference of pathDifferences(path))
    found.push({ field: 'path', ...PATH_DIFFERENCES[difference] });
  return found;
}
