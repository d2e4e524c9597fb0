/** gateway.toml as an OpenShell gateway reads it: the driver that it would ask, and what keeps it from asking ours. Pure. */
import { isAbsolute } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { ConfigError } from '../../domain/errors.ts';
import { nearest } from '../../domain/nearest.ts';
import { shownName } from '../../domain/shown-name.ts';
import { asList, asMap, asText, type Data } from '../../manifest/data.ts';
import { parseStream, wholeFile } from '../../manifest/stream.ts';

/** Reports a fault; `line` is 0 where the field is written in a form whose line is not known. */
export type TomlReport = (line: number, field: string, message: string, hint: string) => void;

/** The driver that a gateway would connect to. */
export interface UsedDriver {
  readonly socketPath: string;
  /** Whether the gateway starts it, and so makes the socket. */
  readonly launched: boolean;
}

const DRIVERS = 'openshell.credential_drivers';
const TABLES = ['version', 'gateway', 'supervisor', 'drivers', 'credential_drivers'];
const OWN_DRIVERS = ['kubernetes-secrets', 'vault'];
/** Of the file: 0.0.x reads 1, 0.1.x reads 2, and none is 1. */
const VERSIONS: readonly unknown[] = [undefined, 1, 2];
/** Helm keeps neither the version nor the post-renderer, without which the gateway loses its driver. */
const TOPOLOGY_COMMAND =
  'run: helm upgrade openshell oci://ghcr.io/nvidia/openshell/helm-chart --namespace openshell --version VERSION --reuse-values --set supervisor.topology=sidecar --post-renderer ./post-renderer.sh';

export interface GatewayFile {
  readonly file: string;
  readonly text: string;
  /** Of the file, of the first line of the text. */
  readonly firstLine: number;
}

/** A gateway.toml, or the one that a ConfigMap of a stream of manifests holds. Throws {@link ConfigError}. */
export function gatewayFile(file: string, text: string): GatewayFile {
  if (!/^<|\.(ya?ml|json)$/.test(file)) return { file, text, firstLine: 1 };
  const stream = parseStream(file, text);
  for (const document of stream.documents) {
    const root = asMap(document.data);
    for (const [path, item] of [
      [[], root] as const,
      ...asList(root.items).map((each, index) => [['items', index], each] as const),
    ]) {
      const toml = asText(asMap(asMap(item).data)['gateway.toml']);
      if (toml === undefined) continue;
      const { line } = document.placeOf([...path, 'data', 'gateway.toml']);
      // A block scalar begins in the next line; of another form each fault has the line of the key.
      const block = /[|>][-+]?\s*$/.test(stream.text.split('\n')[line - 1] ?? '');
      return { file, text: toml, firstLine: block ? line + 1 : 0 };
    }
  }
  const hint = 'run: kubectl -n openshell get configmap openshell-config -o yaml, and give what it prints';
  throw new ConfigError([wholeFile(file, 'has no ConfigMap with gateway.toml', hint)]);
}

export function judgeGatewayToml(text: string, report: TomlReport): UsedDriver | undefined {
  let root: Data;
  try {
    root = parse(text);
  } catch (error) {
    // Its message quotes the file.
    if (!(error instanceof TomlError)) throw error;
    report(error.line, '', 'is not valid TOML', 'fix the syntax here');
    return undefined;
  }
  const lineOf = finder(text);
  const refuse = (table: string, key: string, message: string, hint: string) =>
    report(lineOf(table, key), `${table}.${shownName(key)}`, message, hint);
  const openshell = asMap(root.openshell);
  for (const key of Object.keys(root).filter((name) => name !== 'openshell'))
    report(
      lineOf(key, ''),
      shownName(key),
      'stands outside [openshell], so the gateway does not start',
      `write [openshell.${shownName(key)}]`,
    );
  for (const key of Object.keys(openshell).filter((name) => !TABLES.includes(name)))
    refuse(
      'openshell',
      key,
      'is not a table that the gateway knows, so it does not start',
      nearest(key, TABLES) ?? `remove it; known here: ${TABLES.join(', ')}`,
    );
  if (!VERSIONS.includes(openshell.version))
    refuse('openshell', 'version', 'is not a version of this file', 'write 1 for 0.0.x, or 2 for 0.1.x');
  if (openshell.version !== 2) judgeTopology(openshell, refuse);
  const name = driverName(openshell, refuse);
  return name === undefined ? undefined : judgeDriver(name, openshell, refuse);
}

type Refuse = (table: string, key: string, message: string, hint: string) => void;

/** In 0.1.x the supervisor has a pod of its own. */
function judgeTopology({ gateway, drivers }: Data, refuse: Refuse): void {
  const { compute_drivers: used } = asMap(gateway);
  if (used !== undefined && !asList(used).includes('kubernetes')) return;
  const { topology = 'combined' } = asMap(asMap(drivers).kubernetes);
  if (topology === 'sidecar') return;
  refuse(
    'openshell.drivers.kubernetes',
    'topology',
    topology === 'combined'
      ? 'is combined, also where it is not set: supervisor and agent share a container, so nothing keeps the agent from the values'
      : 'is not a topology',
    TOPOLOGY_COMMAND,
  );
}

function driverName({ gateway }: Data, refuse: Refuse): string | undefined {
  const { credential_drivers: listed, default_credential_driver: preferred } = asMap(gateway);
  const wrong = (message: string) =>
    refuse(
      'openshell.gateway',
      'credential_drivers',
      message,
      'write credential_drivers = ["secret-resolver"]',
    );
  if (listed === undefined) {
    wrong('is missing, so the gateway stores credentials itself and asks no driver');
    return undefined;
  }
  const names = Array.isArray(listed) ? new Set(listed.map(trimmed)) : new Set();
  const [name] = names;
  if (names.size !== 1 || typeof name !== 'string' || name === '') {
    wrong('does not name one driver, so the gateway does not start');
    return undefined;
  }
  if (OWN_DRIVERS.includes(name)) {
    wrong("names a driver of OpenShell's own, so the gateway does not ask the resolver");
    return undefined;
  }
  if (![undefined, '', name].includes(trimmed(preferred) as string | undefined))
    refuse(
      'openshell.gateway',
      'default_credential_driver',
      'is not the driver that credential_drivers names, so the gateway does not start',
      'remove it',
    );
  return name;
}

function judgeDriver(name: string, openshell: Data, refuse: Refuse): UsedDriver | undefined {
  const tables = asMap(openshell.credential_drivers);
  const here = `${DRIVERS}.${shownName(name)}`;
  for (const other of Object.keys(tables).filter((each) => each !== name))
    refuse(
      DRIVERS,
      other,
      `is not read: credential_drivers names ${shownName(name)}`,
      `write [${here}], or name this driver in credential_drivers`,
    );
  const driver = tables[name];
  if (driver === undefined) {
    if (Object.hasOwn(asMap(openshell.drivers), name))
      refuse(
        'openshell.drivers',
        name,
        'is not read: openshell.drivers is for compute drivers',
        `write [${here}]`,
      );
    else if (Object.keys(tables).length === 0)
      refuse(
        DRIVERS,
        name,
        'is missing, so the gateway does not start',
        `write [${here}] with transport = "uds" and socket_path`,
      );
    return undefined;
  }
  const table = asMap(driver);
  const fault = (key: string, message: string, hint: string) =>
    refuse(here, key, `${message}, so the gateway does not start`, hint);
  if (trimmed(table.transport) !== 'uds') fault('transport', 'is not "uds"', 'write transport = "uds"');
  const paths = ['socket_path', 'command'].map((key) => {
    const path = trimmed(table[key]);
    if (typeof path === 'string' && isAbsolute(path)) return path;
    if (path !== undefined || key === 'socket_path')
      fault(key, 'is not an absolute path', `write ${key} = "/…"`);
    return undefined;
  });
  const [socketPath, command] = paths;
  const { args, startup_timeout_secs: timeout } = table;
  if (args !== undefined && (!Array.isArray(args) || args.some((arg) => !asText(arg)?.trim())))
    fault('args', 'is not a list of texts', 'write args = ["serve", "--config", "FILE", "--gateway-driver"]');
  if (timeout !== undefined && !(Number.isInteger(timeout) && Number(timeout) > 0))
    fault('startup_timeout_secs', 'is not a positive whole number', 'write for example 10');
  if (table.command === undefined) {
    if (asList(args).length > 0) fault('args', 'needs command', 'add command, or remove it');
    if (timeout !== undefined) fault('startup_timeout_secs', 'needs command', 'add command, or remove it');
  }
  return socketPath === undefined ? undefined : { socketPath, launched: command !== undefined };
}

/** A text as the gateway takes it; anything else as it is. */
function trimmed(value: unknown): unknown {
  return typeof value === 'string' ? value.trim() : value;
}

/** Finds the line of a key, or of its table's head: the parser keeps no places. */
function finder(text: string): (table: string, key: string) => number {
  const lines = text.split('\n').map((line) => line.replaceAll(/[\s"']/g, ''));
  return (table, key) => {
    const head = (name: string) =>
      lines.findIndex((line) => line.startsWith(`[${name}]`)) + 1 ||
      lines.findIndex((line) => line.startsWith(`[${name}.`)) + 1;
    const start = head(table);
    const end = lines.findIndex((line, index) => index >= start && line.startsWith('['));
    const field = lines
      .slice(0, end < 0 ? undefined : end)
      .findLastIndex((line) => line.startsWith(`${key}=`));
    return field >= start && start > 0 ? field + 1 : head(`${table}.${key}`) || start;
  };
}
