/**
 * What is wrong with a provider profile, beyond its shape. No I/O.
 *
 * An error is what OpenShell or this resolver would refuse, or what makes a credential never resolve. A
 * warning is what works and is seldom meant.
 */
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { profileFileSchema, type RawProfile } from './profile-schema.ts';
import type { YamlSource } from './yaml-source.ts';

/** Most credentials that OpenShell takes of one provider. */
const MAX_CREDENTIALS = 32;

/** How OpenShell knows to present a credential, and the field that says where. */
const AUTH_STYLES: Readonly<Record<string, string | undefined>> = {
  '': undefined,
  basic: undefined,
  bearer: undefined,
  header: 'header_name',
  query: 'query_param',
  path: 'path_template',
};

const PROFILE_FIELDS = [
  'id',
  'display_name',
  'description',
  'category',
  'inference_capable',
  'credentials',
  'endpoints',
  'binaries',
  'discovery',
];

const CREDENTIAL_FIELDS = [
  'name',
  'description',
  'env_vars',
  'required',
  'auth_style',
  'header_name',
  'query_param',
  'path_template',
  'refresh',
  'token_grant',
];

export interface ProfileFinding {
  readonly severity: 'error' | 'warning';
  readonly issue: ConfigIssue;
}

type Report = (
  severity: ProfileFinding['severity'],
  path: readonly PropertyKey[],
  message: string,
  hint: string,
) => void;

/** Checks one profile; its id is undefined where the shape is wrong. */
export function lintProfile(source: YamlSource): { id: string | undefined; findings: ProfileFinding[] } {
  const findings: ProfileFinding[] = [];
  let profile: RawProfile;
  try {
    profile = source.validate(profileFileSchema);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { id: undefined, findings: error.issues.map((issue) => ({ severity: 'error', issue })) };
  }
  const report: Report = (severity, path, message, hint) =>
    findings.push({ severity, issue: source.issueAt(path, message, hint) });
  lintFields(profile, report);
  lintCredentials(profile, report);
  lintEndpoints(profile, report);
  lintDiscovery(profile, report);
  return { id: profile.id, findings };
}

function lintFields(profile: RawProfile, report: Report): void {
  const unknown = (object: object, known: readonly string[], path: readonly PropertyKey[]) => {
    for (const field of Object.keys(object).filter((name) => !known.includes(name))) {
      const hint = `check its spelling; known here: ${known.join(', ')}`;
      report('warning', [...path, field], 'is not a field of a profile and has no effect', hint);
    }
  };
  unknown(profile, PROFILE_FIELDS, []);
  profile.credentials.forEach((credential, index) => {
    unknown(credential, CREDENTIAL_FIELDS, ['credentials', index]);
  });
}

function lintCredentials(profile: RawProfile, report: Report): void {
  const names = new Set<string>();
  const variables = new Set<string>();
  profile.credentials.forEach((credential, index) => {
    const path = ['credentials', index];
    if (names.has(credential.name)) {
      report(
        'error',
        [...path, 'name'],
        'is the name of another credential too',
        'give each one a name of its own',
      );
    }
    names.add(credential.name);
    credential.env_vars.forEach((variable, position) => {
      if (variables.has(variable)) {
        report(
          'error',
          [...path, 'env_vars', position],
          `${variable} is declared a second time`,
          'keep environment names unique in a profile',
        );
      }
      variables.add(variable);
    });
    if (credential.env_vars.length === 0 && credential.token_grant === undefined) {
      report(
        'error',
        path,
        'has no env_vars, so no key of a Secret can be it',
        'name at least one in env_vars',
      );
    }
    lintPresentation(credential, path, report);
  });
  if (variables.size > MAX_CREDENTIALS) {
    report(
      'error',
      ['credentials'],
      `declares ${variables.size} environment names; OpenShell takes ${MAX_CREDENTIALS} of a provider`,
      'split the profile',
    );
  }
}

function lintPresentation(
  credential: RawProfile['credentials'][number],
  path: readonly PropertyKey[],
  report: Report,
): void {
  const style = credential.auth_style ?? '';
  if (typeof style !== 'string' || !Object.hasOwn(AUTH_STYLES, style)) {
    const known = Object.keys(AUTH_STYLES).filter(Boolean).join(', ');
    report('error', [...path, 'auth_style'], 'is not a way to present a credential', `write one of ${known}`);
    return;
  }
  const needed = AUTH_STYLES[style];
  const value = needed === undefined ? undefined : credential[needed];
  if (needed !== undefined && (typeof value !== 'string' || value.trim() === '')) {
    report('error', [...path, 'auth_style'], `${style} needs ${needed}`, `add ${needed}`);
  } else if (needed === 'path_template' && !String(value).includes('{credential}')) {
    const hint = 'write {credential} where it is to stand';
    report('error', [...path, needed], 'has no place for the credential', hint);
  }
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
    if (port !== undefined && ports.length > 0 && !ports.includes(port)) {
      report('error', [...path, 'port'], 'is not in ports, which alone counts', 'keep one of the two fields');
    }
    const labels = host.split('.');
    if (labels.includes('')) {
      report('error', [...path, 'host'], 'has an empty label, so it matches no host', 'remove the extra dot');
    } else if (labels.slice(-2).some((label) => label.includes('*'))) {
      const hint = 'spell out at least the last two labels';
      report('warning', [...path, 'host'], 'is a glob over domains of other people', hint);
    }
    if (/[?[\]]/.test(host)) {
      const hint = 'use "*", which stands for any text within a label';
      report('error', [...path, 'host'], 'has "?" or brackets, which stand for themselves here', hint);
    }
    for (const each of ports.length > 0 ? ports : [port ?? 443]) {
      const endpointName = `${host.toLowerCase()}:${each}${endpoint.path}`;
      if (seen.has(endpointName)) {
        report('warning', path, 'is a duplicate', 'keep one of the two');
      }
      seen.add(endpointName);
    }
  });
}

function lintDiscovery(profile: RawProfile, report: Report): void {
  const { discovery } = profile;
  const listed =
    typeof discovery === 'object' && discovery !== null ? Object(discovery).credentials : undefined;
  if (!Array.isArray(listed)) return;
  const names = new Set<unknown>(profile.credentials.map((credential) => credential.name));
  listed.forEach((name: unknown, index) => {
    if (!names.has(name)) {
      const hint = 'write the name of one of the credentials above';
      report('error', ['discovery', 'credentials', index], 'names no credential of this profile', hint);
    }
  });
}
