/** What keeps an OpenShell gateway from handing out a credential of ours. Each finding ends with the next thing to do. */
import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ResolverError } from '../../client/errors.ts';
import { openChannel, unaryCall } from '../../client/transport.ts';
import type { Config } from '../../config/config.ts';
import type { ConfigFinding } from '../../config/finding.ts';
import type { Places } from '../../config/places.ts';
import type { YamlSource } from '../../config/yaml-source.ts';
import { errorCode, throwShortage } from '../../domain/errors.ts';
import { nearest } from '../../domain/nearest.ts';
import { shownName } from '../../domain/shown-name.ts';
import { CredentialDriver } from '../../gen/openshell/credentials/v1/credential_driver_pb.ts';
import { referenceAllowed } from '../../snapshot/references.ts';
import { type GatewayReference, parseReference, permitted } from './gateway-reference.ts';
import { type GatewayFile, judgeGatewayToml, type UsedDriver } from './gateway-toml.ts';
import type { GatewaySettings } from './settings.ts';

/** Milliseconds to wait for an answer on the socket; a gateway waits for 30 s. */
const ANSWER_TIMEOUT_MS = 5_000;
/** Where the profiles are that come with this package: in a checkout, and in dist. */
const SHIPPED_PROFILES = join(import.meta.dirname, '../../../deploy/profiles');
const RESTART = 'run: kubectl -n openshell rollout restart statefulset/openshell';

export interface Examined {
  readonly config: Config;
  readonly places: Places;
  readonly settings: GatewaySettings;
  readonly gateway: GatewayFile | undefined;
  /** What the gateway has in the workspace, as its CLI lists it. */
  readonly profiles: { readonly file: string; readonly sources: readonly YamlSource[] } | undefined;
  readonly workspace: string;
  /** Of the provider that is to be made, if any. */
  readonly type: string | undefined;
  /** Credential key → the reference that a user would enter. It may be a raw secret, so it is shown only once it is read as a reference. */
  readonly credentials: ReadonlyMap<string, string>;
  /** Where the driver's socket is here; false where it cannot be reached from here. */
  readonly socket: string | false;
}

type Finding = Omit<ConfigFinding['issue'], 'line' | 'column'> & { readonly line?: number };

class Findings {
  readonly all: ConfigFinding[] = [];
  readonly #places: Places;

  constructor(places: Places) {
    this.#places = places;
  }

  add(severity: ConfigFinding['severity'], by: ConfigFinding['by'], { line = 0, ...issue }: Finding): void {
    this.all.push({ severity, by, issue: { ...issue, line, column: line > 0 ? 1 : 0 } });
  }

  /** A fault of the resolver's own configuration. */
  own(path: readonly PropertyKey[], message: string, hint: string): void {
    const issue = this.#places.config?.issueAt(path, message, hint);
    if (issue !== undefined) this.all.push({ severity: 'error', by: 'secret-resolver', issue });
  }

  unchecked(option: string, what: string, hint: string): void {
    const message = `${option === '--no-socket' ? 'is' : 'is not'} given, so ${what} not checked`;
    this.add('warning', 'secret-resolver', { file: option, field: '', message, hint });
  }
}

export async function examine(examined: Examined): Promise<ConfigFinding[]> {
  const findings = new Findings(examined.places);
  const used = judgeGateway(examined, findings);
  judgeWorkspace(examined, findings);
  for (const [key, text] of examined.credentials) judgeReference(examined, key, text, findings);
  judgeProfile(examined, findings);
  await judgeSocket(examined, used, findings);
  return findings.all;
}

/** The command that makes the provider in a workspace. Nothing in it needs quotes: each part was checked. */
export function providerCommand({ type = 'TYPE', credentials }: Examined, workspace: string): string {
  const shown = [...credentials].map(([key, text]) => {
    const known = parseReference(Buffer.from(text)) !== undefined;
    return ` --credential ${key}=${known ? text : 'secret-resolver://NAME'}`;
  });
  return `openshell --workspace ${workspace} provider create --name ${type} --type ${type}${shown.join('')}`;
}

function judgeGateway({ gateway, settings, places }: Examined, findings: Findings) {
  if (gateway === undefined) {
    findings.unchecked(
      '--gateway-config',
      "the gateway's driver table and topology are",
      'run: kubectl -n openshell get configmap openshell-config -o yaml > gateway.yaml, and give --gateway-config gateway.yaml',
    );
    return undefined;
  }
  const { file, text, firstLine } = gateway;
  const used = judgeGatewayToml(text, (line, field, message, hint) =>
    findings.add('error', 'OpenShell', {
      file,
      line: firstLine > 0 && line > 0 ? firstLine + line - 1 : 0,
      field,
      message,
      hint: hint.startsWith('run: ') ? hint : `${hint}, then ${RESTART}`,
    }),
  );
  if (used !== undefined && !used.launched && used.socketPath !== settings.socket.path) {
    const hint = 'make them one, unless both containers mount the folder under names of their own';
    const path = ['gatewayDriver', 'socket', 'path'];
    const issue = places.config?.issueAt(path, `is not socket_path of ${file}`, hint);
    if (issue !== undefined) findings.add('warning', 'secret-resolver', issue);
  }
  return used;
}

function judgeWorkspace(examined: Examined, findings: Findings): void {
  const { settings, workspace, type, credentials, config } = examined;
  if (type === undefined) return;
  const names = settings.workspaces.map(({ name }) => name);
  if (names.includes(workspace)) return;
  const all = [...credentials.values()].map((text) => parseReference(Buffer.from(text)));
  const fits = names.filter((name) =>
    all.every((each) => each && permitted(settings.workspaces, config.references.allow, name, each)),
  );
  const meant = credentials.size > 0 && fits.length === 1 ? fits[0] : undefined;
  findings.own(
    ['gatewayDriver', 'workspaces'],
    `does not list workspace ${shownName(workspace)}, so each of its references is refused`,
    meant === undefined
      ? `${nearest(workspace, names)?.replace('write', 'give --workspace') ?? `list {name: ${workspace}} with its secrets`}, then run: secret-resolver config validate ${config.file}`
      : `run: ${providerCommand(examined, meant)}`,
  );
}

function judgeReference(examined: Examined, key: string, text: string, findings: Findings): void {
  const { settings, config, workspace } = examined;
  const reference = parseReference(Buffer.from(text));
  if (reference === undefined) {
    const hint = `run: ${providerCommand(examined, workspace)}`;
    const issue = { file: '--credential', field: key, message: 'is not a reference', hint };
    findings.add('error', 'secret-resolver', issue);
    return;
  }
  const { allow } = config.references;
  const index = settings.workspaces.findIndex(({ name }) => name === workspace);
  const own = settings.workspaces[index];
  if (own === undefined || permitted(settings.workspaces, allow, workspace, reference)) return;
  const validate = `then run: secret-resolver config validate ${config.file}`;
  const here = ['gatewayDriver', 'workspaces', index];
  const target = 'named' in reference ? own.names.get(reference.named) : reference;
  if (target === undefined) {
    const { named } = reference as Extract<GatewayReference, { named: string }>;
    const near = nearest(named, [...own.names.keys()])?.replace('write ', '');
    const again = near && { ...examined, credentials: new Map([[key, `secret-resolver://${near}`]]) };
    findings.own(
      [...here, 'names'],
      `does not list ${shownName(named)}, which ${key} refers to`,
      again
        ? `run: ${providerCommand(again, workspace)}`
        : `map ${shownName(named)} to {name: SECRET, key: KEY} there, ${validate}`,
    );
    return;
  }
  const { namespace, name, key: item } = target;
  const listed = 'named' in reference || referenceAllowed(own.secrets, target);
  findings.own(
    listed ? ['references', 'allow'] : [...here, 'secrets'],
    `does not list ${namespace}/${name}/${item}, which ${key} refers to`,
    `list {namespace: ${namespace}, name: ${name}, keys: [${item}]} there, ${validate}`,
  );
}

const importedProfile = z.looseObject({
  id: z.string(),
  source: z.string().default('user'),
  scope: z.string().default('workspace'),
  endpoints: z.array(z.unknown()).default([]),
  credentials: z
    .array(
      z.looseObject({
        name: z.string().default(''),
        env_vars: z.array(z.string()).default([]),
        refresh: z.looseObject({ strategy: z.string().default('') }).nullish(),
      }),
    )
    .default([]),
});

function judgeProfile(examined: Examined, findings: Findings): void {
  const { profiles, type, workspace, places, credentials } = examined;
  const cli = `openshell --workspace ${workspace} provider`;
  if (type === undefined) {
    findings.unchecked(
      '--type',
      "a provider's workspace and profile are",
      'give the type of the provider, and --credential KEY=REFERENCE',
    );
    return;
  }
  if (profiles === undefined) {
    const hint = `run: ${cli} list-profiles -o json > profiles.json, and give --profiles profiles.json`;
    findings.unchecked('--profiles', `whether workspace ${workspace} has profile ${type} is`, hint);
    return;
  }
  const imported = profiles.sources.map((source) => source.validate(importedProfile));
  const profile = imported.find(({ id }) => id === type);
  const fault = (message: string, hint: string) =>
    findings.add('error', 'OpenShell', { file: profiles.file, field: type, message, hint });
  if (profile === undefined) {
    const shipped = join(SHIPPED_PROFILES, `${type}.yaml`);
    const file = places.profiles.get(type)?.file ?? (existsSync(shipped) ? shipped : 'PROFILE.yaml');
    fault(
      `is not a profile of workspace ${workspace}: a provider without one makes the supervisor drop every credential of its sandbox`,
      `run: ${cli} profile import -f ${file}`,
    );
    return;
  }
  if (profile.endpoints.length === 0)
    findings.add('warning', 'OpenShell', {
      file: profiles.file,
      field: type,
      message:
        "has no endpoint, so the gateway withholds its credentials, unless the sandbox's policy binds them (credential_binding)",
      hint: addEndpoint(profile, cli),
    });
  const minted = profile.credentials.filter(
    ({ refresh, env_vars }) =>
      !['', 'static', 'external'].includes(refresh?.strategy ?? '') &&
      !env_vars.some((key) => credentials.has(key)),
  );
  for (const { name, env_vars } of minted)
    findings.add('warning', 'OpenShell', {
      file: profiles.file,
      field: `${type}.${shownName(name)}`,
      message:
        'has refresh, which the gateway refuses to configure: this driver does not store what it mints',
      hint: `leave it out, or refer to a Secret that holds it: --credential ${shownName(env_vars[0] ?? 'KEY')}=secret-resolver://NAME`,
    });
}

/** How a profile is changed. The gateway changes none of its own, and wants the version that `export` writes. */
function addEndpoint({ id, source, scope }: z.infer<typeof importedProfile>, cli: string): string {
  const edit = `run: ${cli} profile export ${id} > PROFILE.yaml, add an endpoint`;
  if (source !== 'user')
    return `${edit} and write another id in it, then run: ${cli} profile import -f PROFILE.yaml`;
  const everywhere = scope === 'platform' ? ' --global' : '';
  return `${edit} in it, then run: ${cli} profile update ${id} -f PROFILE.yaml${everywhere}`;
}

async function judgeSocket(
  { socket, config, settings }: Examined,
  used: UsedDriver | undefined,
  findings: Findings,
): Promise<void> {
  const serve = used?.launched
    ? RESTART
    : `run: secret-resolver serve --config ${config.file} --gateway-driver`;
  if (socket === false) {
    const hint =
      'run this command in the container of the driver: kubectl -n openshell exec POD -c secret-resolver -- secret-resolver openshell doctor --config /etc/secret-resolver/config.yaml';
    findings.unchecked('--no-socket', 'the socket is', hint);
    return;
  }
  const fault = (message: string, hint: string) =>
    findings.add('error', 'secret-resolver', { file: socket, field: '', message, hint });
  try {
    if (!lstatSync(socket).isSocket()) {
      fault('exists but is not a socket', `remove it, then ${serve}`);
      return;
    }
  } catch (error) {
    throwShortage(error);
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') fault('does not exist', serve);
    else fault(`cannot be reached: ${code}`, 'let this user pass each folder above it');
    return;
  }
  const channel = openChannel(socket);
  try {
    const method = `/${CredentialDriver.typeName}/${CredentialDriver.method.getCapabilities.name}`;
    await unaryCall(socket, channel, method, new Uint8Array(0), ANSWER_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof ResolverError)) throw error;
    if (error.message.includes('ECONNREFUSED')) fault('exists, and no process listens on it', serve);
    else if (error.message.includes('EACCES'))
      fault(
        `may not be opened by UID ${process.geteuid?.()}`,
        `give gatewayDriver.socket a mode that lets the gateway in (now 0${settings.socket.mode.toString(8)}), then ${serve}`,
      );
    else if (error.code === 'unimplemented')
      fault("is the resolver's own socket and not the driver's", `give --socket ${settings.socket.path}`);
    else if (settings.callers.some(({ uid }) => uid === process.geteuid?.()))
      fault(`does not answer UID ${process.geteuid?.()}`, `read the driver's log, then ${serve}`);
    else
      findings.add('warning', 'secret-resolver', {
        file: socket,
        field: '',
        message: `a process listens on it, and gatewayDriver.callers does not list this UID ${process.geteuid?.()}, so no call is answered`,
        hint: `ignore this, unless the gateway runs as this UID: then list {name: gateway, uid: ${process.geteuid?.()}} there`,
      });
  } finally {
    channel.close();
  }
}
