/** What OpenShell 0.0.x refuses in a profile of the right shape. Pure. Rules of MCP endpoints have a file of their own. */
import { lintMcp } from './openshell-mcp.ts';
import type { OpenShellCredential, OpenShellEndpoint, OpenShellProfile } from './openshell-schema.ts';

type Path = readonly PropertyKey[];
/** Reports a mistake at a place. */
export type Report = (path: Path, message: string, hint: string) => void;

const CATEGORIES = ['inference', 'agent', 'source_control', 'messaging', 'data', 'knowledge', 'other'];
const STRATEGIES = [
  'static',
  'external',
  'oauth2_refresh_token',
  'oauth2_client_credentials',
  'google_service_account_jwt',
  'aws_sts_assume_role',
];
/** How a credential is presented → the field that says where. */
const AUTH_STYLES: ReadonlyMap<string, 'header_name' | 'query_param' | 'path_template' | undefined> = new Map(
  [
    ['', undefined],
    ['basic', undefined],
    ['bearer', 'header_name'],
    ['header', 'header_name'],
    ['query', 'query_param'],
    ['path', 'path_template'],
  ],
);
const PROTOCOLS = ['rest', 'websocket', 'graphql', 'sql', 'json-rpc', 'mcp'];

export function lintAsOpenShell(profile: OpenShellProfile, report: Report): void {
  if (!['', ...CATEGORIES].includes(word(profile.category)))
    report(['category'], 'is not a category', `write one of ${CATEGORIES.join(', ')}`);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(profile.id))
    report(['id'], 'must be lowercase kebab-case', 'write letters, digits and "-"');
  lintNames(profile, report);
  profile.credentials.forEach((credential, index) => {
    lintCredential(profile, credential, ['credentials', index], report);
  });
  profile.endpoints.forEach((endpoint, index) => {
    lintEndpoint(profile, endpoint, ['endpoints', index], report);
  });
  profile.binaries.forEach((binary, index) => {
    const path = typeof binary === 'string' ? binary : binary.path;
    if (path.trim() === '') report(['binaries', index], 'has no path', 'write the path of a program');
  });
}

/** As OpenShell compares words that stand for one of a list. */
function word(value: string): string {
  return value.trim().toLowerCase().replaceAll('-', '_');
}

/** Calls `again` for each text that is not the first of its kind; `empty` for those that are blank. */
function unique(
  values: readonly string[],
  again: (index: number) => void,
  empty: (index: number) => void,
): ReadonlySet<string> {
  const seen = new Set<string>();
  values.forEach((value, index) => {
    const name = value.trim();
    if (name === '') empty(index);
    else if (seen.has(name)) again(index);
    seen.add(name);
  });
  return seen;
}

function lintNames({ credentials, discovery }: OpenShellProfile, report: Report): void {
  const at = (index: number) => ['credentials', index, 'name'];
  const names = unique(
    credentials.map(({ name }) => name),
    (index) => report(at(index), 'is the name of another credential too', 'give each one a name of its own'),
    (index) => report(at(index), 'must not be empty', 'write a name'),
  );
  const listed = discovery.credentials;
  const place = (index: number) => ['discovery', 'credentials', index];
  unique(
    listed,
    (index) => report(place(index), 'is listed twice', 'keep one of the two'),
    (index) => report(place(index), 'must not be empty', 'write the name of a credential'),
  );
  listed.forEach((name, index) => {
    if (name.trim() !== '' && !names.has(name.trim()))
      report(
        place(index),
        'names no credential of this profile',
        'write the name of one of the credentials above',
      );
  });
  const variables = credentials.flatMap(({ env_vars }, index) =>
    env_vars.map((name, position) => ({ name, path: ['credentials', index, 'env_vars', position] })),
  );
  const pathOf = (index: number) => variables[index]?.path ?? [];
  unique(
    variables.map(({ name }) => name),
    (index) =>
      report(pathOf(index), 'is declared a second time', 'keep environment names unique in a profile'),
    (index) => report(pathOf(index), 'must not be empty', 'write an environment name'),
  );
  for (const { name, path } of variables)
    if (/^(v\d+|s[\da-f]{64})_[A-Za-z0-9_]+$/.test(name.trim()))
      report(
        path,
        'is reserved: it reads as a revision or a handle inside a placeholder',
        'choose another name',
      );
}

function lintCredential(
  profile: OpenShellProfile,
  credential: OpenShellCredential,
  path: Path,
  report: Report,
): void {
  const style = credential.auth_style.trim().toLowerCase();
  const field = AUTH_STYLES.get(style);
  if (!AUTH_STYLES.has(style)) {
    const known = [...AUTH_STYLES.keys()].filter(Boolean).join(', ');
    report([...path, 'auth_style'], 'is not a way to present a credential', `write one of ${known}`);
  } else if (field !== undefined && credential[field].trim() === '') {
    report([...path, 'auth_style'], `${style} needs ${field}`, `add ${field}`);
  } else if (field === 'path_template' && credential.path_template.split('{credential}').length !== 2) {
    const hint = 'write {credential} once, where it is to be placed';
    report([...path, field], 'must have {credential} exactly once', hint);
  }
  lintRefresh(profile, credential, [...path, 'refresh'], report);
  const grant = credential.token_grant;
  if (!grant) return;
  if (!isGrantEndpoint(grant.token_endpoint))
    report(
      [...path, 'token_grant', 'token_endpoint'],
      'must be an https URL, or http of loopback or of a Service in the cluster',
      'write an https URL',
    );
  const header = credential.header_name.trim();
  if (!['', 'bearer', 'header'].includes(style))
    report([...path, 'auth_style'], 'must be bearer or header beside token_grant', 'write bearer or header');
  else if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]*$/.test(header))
    report([...path, 'header_name'], 'is not the name of a header', 'write a name such as Authorization');
  else if (['host', 'content-length', 'transfer-encoding', 'connection'].includes(header.toLowerCase()))
    report([...path, 'header_name'], 'controls the connection itself', 'write a name such as Authorization');
}

function isGrantEndpoint(text: string): boolean {
  const url = URL.parse(text);
  if (url?.protocol !== 'http:') return url?.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  return (
    host === 'localhost' ||
    /^(127\.\d+\.\d+\.\d+|::1|::ffff:7f[0-9a-f]{2}:[0-9a-f]+)$/.test(host) ||
    /^[^.]+\.[^.]+\.svc(\.cluster\.local)?$/.test(host)
  );
}

/** What AWS's role strategy makes beside its first credential, and the only names that its signer looks up. */
const STS_OUTPUTS: Readonly<Record<string, string>> = {
  secret_access_key: 'AWS_SECRET_ACCESS_KEY',
  session_token: 'AWS_SESSION_TOKEN',
};

function lintRefresh(
  { credentials }: OpenShellProfile,
  { refresh, env_vars }: OpenShellCredential,
  path: Path,
  report: Report,
): void {
  if (!refresh) return;
  const strategy = word(refresh.strategy);
  if (!STRATEGIES.includes(strategy))
    report([...path, 'strategy'], 'is not a refresh strategy', `write one of ${STRATEGIES.join(', ')}`);
  for (const field of ['refresh_before_seconds', 'max_lifetime_seconds'] as const)
    if (refresh[field] < 0) report([...path, field], 'must not be negative', 'write a number of seconds');
  const material = (index: number) => [...path, 'material', index, 'name'];
  unique(
    refresh.material.map(({ name }) => name),
    (index) => report(material(index), 'is the name of other material too', 'give each a name of its own'),
    (index) => report(material(index), 'must not be empty', 'write a name'),
  );
  const sts = strategy === 'aws_sts_assume_role';
  const outputs = refresh.additional_outputs;
  const at = (index: number, field: string) => [...path, 'additional_outputs', index, field];
  const found = unique(
    outputs.map(({ output }) => output),
    (index) => report(at(index, 'output'), 'is listed twice', 'keep one of the two'),
    (index) => report(at(index, 'output'), 'must not be empty', 'write the id of an output'),
  );
  if (!sts && outputs.length > 0)
    report([...path, 'additional_outputs'], 'are not made by this strategy', 'remove additional_outputs');
  outputs.forEach(({ output, credential }, index) => {
    const expected = STS_OUTPUTS[output.trim()];
    if (output.trim() === '') return;
    if (sts && expected === undefined)
      report(
        at(index, 'output'),
        'is not made by this strategy',
        `write ${Object.keys(STS_OUTPUTS).join(' or ')}`,
      );
    const sibling = credentials.find(({ name }) => name === credential.trim());
    if (sibling === undefined)
      report(
        at(index, 'credential'),
        'names no credential of this profile',
        'write the name of another credential',
      );
    else if (sibling.refresh)
      report(at(index, 'credential'), 'names a credential with a refresh of its own', 'remove that refresh');
    const [variable, ...more] = sibling?.env_vars ?? [];
    if (sibling !== undefined && (variable === undefined || more.length > 0))
      report(
        at(index, 'credential'),
        'names a credential that has not exactly one env_var',
        'declare one there',
      );
    else if (sts && expected !== undefined && variable !== undefined && variable !== expected)
      report(at(index, 'credential'), 'names a credential with another env_var', `declare ${expected} there`);
  });
  if (!sts) return;
  for (const output of Object.keys(STS_OUTPUTS))
    if (!found.has(output))
      report([...path, 'additional_outputs'], `lacks ${output}`, 'map it to a credential of this profile');
  if (env_vars.join() !== 'AWS_ACCESS_KEY_ID')
    report(
      [...path.slice(0, -1), 'env_vars'],
      'must be AWS_ACCESS_KEY_ID for this strategy',
      'write that alone',
    );
}

function lintEndpoint(
  profile: OpenShellProfile,
  endpoint: OpenShellEndpoint,
  path: Path,
  report: Report,
): void {
  const { protocol, rules, deny_rules, port, ports } = endpoint;
  if (endpoint.host.trim() === '') report([...path, 'host'], 'must not be empty', 'write a host name');
  const listed = ports.map((each, index) => ({ each, at: ['ports', index] as Path }));
  for (const { each, at } of listed.length > 0 ? listed : [{ each: port, at: ['port'] as Path }])
    if (each < 1 || each > 65_535)
      report([...path, ...at], 'must be a port from 1 to 65535', 'add port, for example 443');
  if (rules?.length === 0)
    report([...path, 'rules'], 'is empty, which denies everything', 'write access: full, or remove rules');
  if (deny_rules?.length === 0)
    report([...path, 'deny_rules'], 'is empty and has no effect', 'remove deny_rules');
  lintProtocol(endpoint, path, report);
  lintMcp(endpoint, path, report);
  const credentialed =
    profile.credentials.length > 0 ||
    profile.endpoints.some(({ credential_signing }) => credential_signing.trim() !== '');
  const uninspected = protocol.trim() === '' || endpoint.tls.trim().toLowerCase() === 'skip';
  if (credentialed && uninspected && !endpoint.allow_uninspected_credentials)
    report(
      path,
      `receives credentials that OpenShell does not inspect (${protocol.trim() === '' ? 'no protocol' : 'tls: skip'})`,
      'add protocol: rest with access or rules, or set allow_uninspected_credentials: true',
    );
}

function lintProtocol(endpoint: OpenShellEndpoint, path: Path, report: Report): void {
  const { access } = endpoint;
  const protocol = endpoint.protocol.toLowerCase();
  const allows = (endpoint.rules?.length ?? 0) > 0;
  const denies = (endpoint.deny_rules?.length ?? 0) > 0;
  const inspected = PROTOCOLS.includes(protocol);
  const allMethods = protocol === 'mcp' && endpoint.mcp?.allow_all_known_mcp_methods === true;
  const at = (field: string, message: string, hint: string) => report([...path, field], message, hint);
  if (protocol === 'tcp') lintTcp(endpoint, path, report);
  else if (protocol !== '' && !inspected)
    at('protocol', 'is not a protocol', `write one of tcp, ${PROTOCOLS.join(', ')}`);
  if (allows && access !== '') at('access', 'and rules exclude each other', 'keep one of the two');
  const rpc = protocol === 'json-rpc' || protocol === 'mcp';
  if (rpc && access !== '')
    at('access', `has no meaning for protocol ${protocol}`, 'write rules with allow.method');
  if (inspected && !allows && access === '' && !allMethods)
    at('protocol', `${protocol} needs ${rpc ? 'rules' : 'access or rules'}`, 'say what is allowed');
  const empty = endpoint.rules?.every(
    ({ allow }) =>
      !allow ||
      ([allow.method, allow.path, allow.command, allow.operation_type, allow.operation_name].every(
        (x) => x === '',
      ) &&
        !allow.tool &&
        !Object.hasOwn(allow.params, 'name')),
  );
  if (allows && empty && !allMethods)
    at('rules', 'allow nothing, which denies everything', 'write access: full, or add an allow clause');
  if (denies && !inspected) at('deny_rules', 'need a protocol', 'add protocol: rest');
  if (denies && protocol !== 'mcp' && !allows && access === '')
    at('deny_rules', 'need access or rules that they take from', 'add access: full');
}

/** Fields of inspection that plain TCP has no use for. */
const NOT_TCP = [
  'enforcement',
  'path',
  'allow_encoded_slash',
  'websocket_credential_rewrite',
  'request_body_credential_rewrite',
  'persisted_queries',
  'graphql_persisted_queries',
  'graphql_max_body_bytes',
  'json_rpc_max_body_bytes',
  'mcp',
  'credential_signing',
  'signing_service',
  'signing_region',
  'access',
  'rules',
  'deny_rules',
] as const;

function lintTcp(endpoint: OpenShellEndpoint, path: Path, report: Report): void {
  for (const field of NOT_TCP) {
    const value: unknown = endpoint[field];
    const size =
      typeof value === 'object' && value !== null && field !== 'mcp' ? Object.keys(value).length : value;
    if (size)
      report([...path, field], 'has no meaning for protocol tcp', 'remove it, or write another protocol');
  }
}
