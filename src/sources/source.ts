/**
 * A source of values: a kind of mount, how to read it, and the reasons why a read can fail. For every source the
 * operator names a value by namespace, name and key, and so do references, audit records and handles. volume.ts, not
 * the source, decides when to read, what to publish and when to erase.
 *
 * To add one: create a folder beside kubelet-secret/ that exports a {@link Source}, and add a line to index.ts.
 */
import type { Config, SecretName } from '../config/config.ts';
import { isShortage } from '../domain/errors.ts';
import type { SecretValue } from '../domain/secret-value.ts';

export interface Source<Fault extends string = string> {
  /** The value of `source.type` in a provider file. */
  readonly type: string;
  /** The directory to watch and to read. */
  readonly directory: (config: Pick<Config, 'secretsRoot'>, secret: SecretName) => string;
  /** The entry of the directory that is changed last of a new generation, if one is: a hint of it is acted on at once. */
  readonly changedLast?: string;
  /** What makes a pod have it, as `inject` writes it. `fsGroup`: whether kubelet gives its files a group of ours. */
  readonly podVolume: (secret: SecretName, fsGroup: boolean) => Readonly<Record<string, unknown>>;
  /** How a directory looks that nobody but the source's own writer has written. Reads no value; throws in a shortage only. */
  readonly layout: (directory: string) => Layout;
  /** Reads one consistent generation. Never throws, whatever the directory contains. */
  readonly read: (directory: string, wanted: Wanted) => SourceRead<Fault>;
  /** Its own reasons why there can be no generation, besides {@link SHARED_FAULTS}, with how to fix each. */
  readonly faults: Readonly<Record<Fault, string>>;
}

/** What can be wrong with a volume whatever its source, and how to fix it. volume.ts goes by the first two. */
export const SHARED_FAULTS = {
  /** It changed during every attempt to read it; it is read again soon. */
  unstable: 'find out what rewrites the volume without pause',
  /** Any other system error. Where it is a shortage, the read before stays in force for a while. */
  unreadable: "check the volume's defaultMode and fsGroup, and that this UID may read it",
  'too-many-files': 'split the Secret, or mount fewer in one volume',
  'volume-too-large': 'split the Secret, or mount fewer in one volume',
} as const;

export type SharedFault = keyof typeof SHARED_FAULTS;

/** What the boundary checks look at. */
export interface Layout {
  /** The folder with the files in force, if any. */
  readonly generation: string | undefined;
  /** What another writer has done to it, as the end of a sentence about the directory. */
  readonly fault?: string;
}

/** Which keys to read: paths below the generation, and whether to read every existing key as well. */
export interface Wanted {
  readonly keys: ReadonlySet<string>;
  readonly all: boolean;
  /** Which of all; every one unless given. */
  readonly takes?: (key: string) => boolean;
}

export type KeyFault = 'key-missing' | 'not-a-file' | 'symlink' | 'too-large' | 'unreadable';

export type KeyRead =
  | { readonly kind: 'bytes'; readonly value: SecretValue }
  | { readonly kind: 'fault'; readonly fault: KeyFault; readonly code: string };

export interface Generation {
  /** Distinguishes it from the previous one, for example the name of its directory. */
  readonly id: string;
  /** Every requested key, and every existing key if all were requested. */
  readonly keys: ReadonlyMap<string, KeyRead>;
}

export type SourceRead<Fault extends string = string> =
  | { readonly kind: 'generation'; readonly generation: Generation }
  | { readonly kind: 'fault'; readonly fault: Fault | SharedFault; readonly code: string };

/** Whether a read failed because this process is short of descriptors or memory, which says nothing about the Secret. */
export function readInShortage(read: SourceRead): boolean {
  return read.kind === 'fault' && read.fault === 'unreadable' && isShortage(read.code);
}

/** Whether both have the same keys, bytes and faults. Names of generations are ignored. */
export function sameContent(a: SourceRead, b: SourceRead): boolean {
  if (a.kind === 'fault' || b.kind === 'fault') {
    return a.kind === 'fault' && b.kind === 'fault' && a.fault === b.fault;
  }
  const left = a.generation.keys;
  const right = b.generation.keys;
  return left.size === right.size && [...left].every(([key, read]) => sameKey(read, right.get(key)));
}

function sameKey(a: KeyRead, b: KeyRead | undefined): boolean {
  if (a.kind === 'bytes') return b?.kind === 'bytes' && a.value.equals(b.value);
  return b?.kind === 'fault' && a.fault === b.fault;
}

export function eraseGeneration(generation: Generation): void {
  for (const read of generation.keys.values()) if (read.kind === 'bytes') read.value.erase();
}
