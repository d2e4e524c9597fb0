/** Facts about files and mounts: the Secret volumes, the configuration, and the folders that lead to them. */
import { accessSync, type BigIntStats, constants, lstatSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Config, referencedSecrets, type SecretName, secretId } from '../../config/config.ts';
import { errorCode, throwShortage } from '../../domain/errors.ts';
import { isReadOnlyMount, type Mount, readMounts } from '../../domain/mountinfo.ts';
import { isWithin } from '../../manifest/pod.ts';
import { sourceOf } from '../../sources/index.ts';
import type { Layout } from '../../sources/source.ts';
import { ifReadable } from './readable.ts';

/** Files looked at in one Secret volume: a Secret of 1 MiB has no more keys than this in practice. */
const MAX_FILES = 1024;
/** Sub-folders that `items[].path` may add, as deep as we look. */
const MAX_DEPTH = 8;

/** A file or folder by lstat: the thing at this path, never what a link points to. */
export interface PathFacts {
  readonly path: string;
  readonly kind: 'directory' | 'file' | 'link' | 'socket' | 'other';
  readonly uid: number;
  readonly gid: number;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  /** `major:minor`, as mountinfo writes it. */
  readonly device: string;
  /** `<dev>:<ino>`: tells whether a path still leads to the same file. */
  readonly identity: string;
  /** Whether the mount that it is reached through is read-only. */
  readonly readOnly: boolean;
  readonly mountPoint: boolean;
}

/** The volume of one Secret that the configuration refers to. */
export interface SecretVolumeFacts {
  /** `<namespace>/<name>`. */
  readonly id: string;
  /** Where the configuration expects it. */
  readonly path: string;
  /** Undefined where nothing exists. */
  readonly folder: PathFacts | undefined;
  /** The mount that begins exactly there. */
  readonly mount: Mount | undefined;
  /** Mount points inside it: none in a whole volume. */
  readonly mountsInside: readonly string[];
  readonly layoutFault: Layout['fault'];
  /** The folder of the generation in force. */
  readonly generation: PathFacts | undefined;
  /** Its files, at most {@link MAX_FILES}. */
  readonly files: readonly PathFacts[];
  /** Paths among folder, generation and files that access(2) says we may write. */
  readonly writable: readonly string[];
  /** Folders above it, from `/` down. */
  readonly parents: readonly PathFacts[];
}

interface ConfigPathFacts {
  readonly path: string;
  /** What it leads to after all links; undefined where that does not exist. */
  readonly target: PathFacts | undefined;
  readonly writableByUs: boolean;
  /** Folders above the path and above its target, from `/` down. */
  readonly parents: readonly PathFacts[];
}

export interface MountFacts {
  readonly all: readonly Mount[];
  readonly secrets: readonly SecretVolumeFacts[];
  readonly config: readonly ConfigPathFacts[];
}

export function gatherMounts(config: Config): MountFacts {
  const all = readMounts();
  return {
    all,
    secrets: referencedSecrets(config).map((secret) => secretVolume(config, secret, all)),
    config: configPaths(config).map((path) => configPath(resolve(path), all)),
  };
}

/** lstat of a path, with the mount that it lies on; undefined where there is nothing, or nothing that we may see. */
export function pathFacts(path: string, mounts: readonly Mount[]): PathFacts | undefined {
  const stat = ifReadable(() => lstatSync(path, { bigint: true }));
  if (stat === undefined) return undefined;
  const mount = mountOf(path, mounts);
  return {
    path,
    kind: kindOf(stat),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mode: Number(stat.mode & 0o7777n),
    device: deviceText(stat.dev),
    identity: `${stat.dev}:${stat.ino}`,
    readOnly: mount !== undefined && isReadOnlyMount(mount),
    mountPoint: mount?.mountPoint === path,
  };
}

function kindOf(stat: BigIntStats): PathFacts['kind'] {
  if (stat.isDirectory()) return 'directory';
  if (stat.isFile()) return 'file';
  if (stat.isSymbolicLink()) return 'link';
  return stat.isSocket() ? 'socket' : 'other';
}

/** The folders above a path, from `/` down, without the path itself. */
export function parentFacts(path: string, mounts: readonly Mount[]): PathFacts[] {
  const parents: PathFacts[] = [];
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const facts = pathFacts(folder, mounts);
    if (facts !== undefined) parents.unshift(facts);
    if (folder === '/') return parents;
  }
}

/** The mount that a path without links lies on: the longest mount point above it, the latest where two are equal. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  let best: Mount | undefined;
  for (const mount of mounts) {
    if (!isWithin(path, mount.mountPoint)) continue;
    if (best === undefined || mount.mountPoint.length >= best.mountPoint.length) best = mount;
  }
  return best;
}

/** A path with every link above and at it resolved; the path itself where that fails. */
export function resolved(path: string): string {
  return ifReadable(() => realpathSync(path)) ?? path;
}

function secretVolume(config: Config, secret: SecretName, mounts: readonly Mount[]): SecretVolumeFacts {
  const source = sourceOf(secret);
  const real = resolved(source.directory(config, secret));
  const folder = pathFacts(real, mounts);
  // stat's device must be the mount's: otherwise another mount covers this one and the entry says nothing.
  const mount = mounts.findLast((each) => each.mountPoint === real && each.device === folder?.device);
  const layout = source.layout(real);
  const generation = layout.generation === undefined ? undefined : pathFacts(layout.generation, mounts);
  const files: PathFacts[] = [];
  if (generation?.kind === 'directory') listFiles(generation.path, mounts, files, 0);
  const candidates = [folder, generation, ...files].filter((facts) => facts !== undefined);
  return {
    id: secretId(secret),
    path: real,
    folder,
    mount,
    mountsInside: mounts.map((each) => each.mountPoint).filter((point) => point.startsWith(`${real}/`)),
    layoutFault: layout.fault,
    generation,
    files,
    writable: candidates.map((facts) => facts.path).filter(writableByUs),
    parents: parentFacts(real, mounts),
  };
}

function listFiles(folder: string, mounts: readonly Mount[], into: PathFacts[], depth: number): void {
  if (depth > MAX_DEPTH) return;
  for (const name of ifReadable(() => readdirSync(folder)) ?? []) {
    if (into.length >= MAX_FILES) return;
    const facts = pathFacts(join(folder, name), mounts);
    if (facts?.kind === 'directory') listFiles(facts.path, mounts, into, depth + 1);
    else if (facts !== undefined) into.push(facts);
  }
}

/** The configuration file, the folders of providers and profiles, and each file in these. */
function configPaths(config: Config): string[] {
  const folders = [config.providersDir, config.profilesDir].filter((folder) => folder !== undefined);
  const inFolders = folders.flatMap((folder) => {
    const names = ifReadable(() => readdirSync(folder)) ?? [];
    // Names that begin with two dots are kubelet's own; the visible links lead into them.
    const visible = names.filter((name) => !name.startsWith('..'));
    return [folder, ...visible.map((name) => join(folder, name))];
  });
  return [config.file, ...inFolders];
}

function configPath(path: string, mounts: readonly Mount[]): ConfigPathFacts {
  const real = resolved(path);
  const named = parentFacts(path, mounts);
  const behind = parentFacts(real, mounts);
  return {
    path,
    target: pathFacts(real, mounts),
    writableByUs: writableByUs(real),
    parents: [...named, ...behind.filter((folder) => named.every((other) => other.path !== folder.path))],
  };
}

function writableByUs(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    throwShortage(error);
    // Anything but a plain "no" is no proof that we cannot write.
    return !['EACCES', 'EROFS', 'ENOENT', 'EPERM'].includes(errorCode(error));
  }
}

/** `major:minor` of a dev_t in glibc's and musl's encoding, as mountinfo writes it. */
function deviceText(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn & 0xffffffffn);
  return `${major}:${minor}`;
}
