/** Fields that are right by themselves and cannot be together. */
import { normalize } from 'node:path';
import { z } from 'zod';
import type { ConfigIssue } from '../domain/errors.ts';
import type { ListenAddress, PartSettings } from './config.ts';
import type { RawConfig } from './schema.ts';
import type { YamlSource } from './yaml-source.ts';

type Path = readonly PropertyKey[];
type Used = Omit<RawConfig, 'egress'> & { readonly egress: RawConfig['egress'] | undefined };

/** `parts`: what each consumer made of its own field. */
export function conflictIssues(
  source: YamlSource,
  raw: RawConfig,
  parts: readonly (readonly [field: string, settings: PartSettings])[],
): ConfigIssue[] {
  // The defaults of the kit count only where somebody means to run it.
  const meant = Object.hasOwn(Object(source.validate(z.unknown())), 'egress') ? raw.egress : undefined;
  const used = { ...raw, egress: meant };
  return [
    ...listenerIssues(source, used),
    ...writtenPathIssues(source, used, parts),
    ...repeatedIssues(source, ['boundary', 'warn'], raw.boundary.warn),
  ];
}

export function listenAddress(text: string): ListenAddress {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

/** The second of two listeners could not open its port. The containers of a pod have one network. */
function listenerIssues(source: YamlSource, { health, metrics, egress }: Used): ConfigIssue[] {
  const listeners = [
    ...(health ? [{ field: 'health', ...listenAddress(health.listen) }] : []),
    ...(metrics ? [{ field: 'metrics', ...listenAddress(metrics.listen) }] : []),
    ...(egress ? [{ field: 'egress', ...listenAddress(egress.listen) }] : []),
  ];
  return listeners.flatMap((one, index) => {
    const first = listeners.slice(0, index).find((other) => overlap(one, other));
    if (first === undefined) return [];
    const message = `has the port of ${first.field}.listen`;
    return [source.issueAt([one.field, 'listen'], message, 'choose another port')];
  });
}

/** Port 0 is any that is free. */
function overlap(one: ListenAddress, other: ListenAddress): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  const hosts = [canonical(one.host), canonical(other.host)];
  return hosts[0] === hosts[1] || hosts.some((host) => host === '::' || host === '0.0.0.0');
}

/** One spelling of an address: `0:0::1` is `::1`. */
function canonical(host: string): string {
  if (host === 'localhost') return '127.0.0.1';
  if (!host.includes(':')) return host;
  return URL.parse(`http://[${host}]`)?.hostname.slice(1, -1) ?? host;
}

/**
 * kubelet's mounts are read-only, and the self-test takes what the agent finds below secretsRoot for a Secret. Each socket
 * has callers of its own.
 */
function writtenPathIssues(
  source: YamlSource,
  { secretsRoot, socket, egress, audit }: Used,
  parts: readonly (readonly [field: string, settings: PartSettings])[],
): ConfigIssue[] {
  const written: (readonly [path: Path, file: string | undefined])[] = [
    [['socket', 'path'], socket.path],
    ...parts.map(([field, settings]) => [[field, 'socket', 'path'], settings.socket?.path] as const),
    [['egress', 'directory'], egress?.directory],
    [['egress', 'caDirectory'], egress?.caDirectory],
    [['audit', 'path'], audit.path],
  ];
  const issues: ConfigIssue[] = [];
  const report = source.reporter(issues);
  const taken = new Map<string, Path>();
  for (const [path, file] of written) {
    if (file === undefined) continue;
    const place = normalize(`${file}/`);
    const first = taken.get(place);
    taken.set(place, path);
    if (first !== undefined)
      report(path, `is the same path as ${first.join('.')}`, 'choose a path of its own');
    if (place.startsWith(normalize(`${secretsRoot}/`)))
      report(
        path,
        'is in secretsRoot, which holds nothing but the read-only mounts of the Secrets',
        'choose a folder outside it, or another secretsRoot',
      );
  }
  return issues;
}

function repeatedIssues(source: YamlSource, path: Path, items: readonly string[]): ConfigIssue[] {
  return items.flatMap((item, index) =>
    items.indexOf(item) === index
      ? []
      : [source.issueAt([...path, index], 'is listed twice', 'keep one of the two')],
  );
}
