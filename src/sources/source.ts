/**
 * A source: where values come from. It names a kind of mount, reads it, and knows why it cannot. Whatever it is, the
 * operator names what it reads by namespace, name and key: references, audit and handles speak of nothing else. When
 * to read, what to publish and when to erase it is the business of volume.ts, not of a source.
 *
 * To add one: a folder beside kubelet-secret/ that exports a {@link Source}, and its line in index.ts.
 */
import type { Config, SecretName } from '../config/config.ts';
import { isShortage } from '../domain/errors.ts';
import type { SecretValue } from '../domain/secret-value.ts';

export interface Source<Fault extends string = string> {
  /** What a provider file writes as `source.type`. */
  readonly type: string;
  /** The folder to watch and to read. */
  readonly directory: (config: Pick<Config, 'secretsRoot'>, secret: SecretName) => string;
  /** Reads one consistent generation. Never throws for anything that the folder can contain. */
  readonly read: (directory: string, wanted: Wanted) => SourceRead<Fault>;
  /** Every reason for having no generation to give, with what a person can do about it. */
  readonly faults: Readonly<Record<Fault, string>>;
}

/** Which keys to read: a list of paths below the generation, and whether every key that exists is wanted too. */
export interface Wanted {
  readonly keys: ReadonlySet<string>;
  readonly all: boolean;
  /** Which of all; every one unless given. */
  readonly takes?: (key: string) => boolean;
}

/** Why a key of a generation has no bytes. */
export type KeyFault = 'key-missing' | 'not-a-file' | 'symlink' | 'too-large' | 'unreadable';

/** A key as it was read. */
export type KeyRead =
  | { readonly kind: 'bytes'; readonly value: SecretValue }
  | { readonly kind: 'fault'; readonly fault: KeyFault; readonly code: string };

/** One consistent generation. */
export interface Generation {
  /** What tells it from the one before, for example the name of its directory. */
  readonly id: string;
  /** Every key that was asked for, and every key that exists where all were asked for. */
  readonly keys: ReadonlyMap<string, KeyRead>;
}

export type SourceRead<Fault extends string = string> =
  | { readonly kind: 'generation'; readonly generation: Generation }
  | { readonly kind: 'fault'; readonly fault: Fault; readonly code: string };

/** Whether a read failed because this process is short of descriptors or memory: that says nothing about the Secret. */
export function readInShortage(read: SourceRead): boolean {
  return read.kind === 'fault' && read.fault === 'unreadable' && isShortage(read.code);
}

/** Whether both hold the same keys with the same bytes and the same faults. The generations' names do not count. */
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

/** Overwrites every value of a generation that is not needed any more. */
export function eraseGeneration(generation: Generation): void {
  for (const read of generation.keys.values()) if (read.kind === 'bytes') read.value.erase();
}
