/** Plays kubelet: writes generations, removals and damage to real `..data` volumes, and records the expected state over time. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { registerSecret } from '../../test/support/secrets.ts';
import { ENDPOINTS, NAMESPACE, type Workspace } from '../../test/support/workspace.ts';
import type { History } from './history.ts';
import { now, taggedValue } from './observation.ts';
import { below, pick } from './plan.ts';

/** Keys of each Secret. `alpha` is served as a whole, `beta` key by key, `gamma` comes and goes with the configuration. */
const KEYS: Readonly<Record<SecretName, readonly string[]>> = {
  alpha: Array.from({ length: 20 }, (_, index) => `ALPHA_${index}`),
  beta: [...Array.from({ length: 6 }, (_, index) => `BETA_${index}`), 'BETA_EXPIRING'],
  gamma: Array.from({ length: 5 }, (_, index) => `GAMMA_${index}`),
};
export const SECRETS = ['alpha', 'beta', 'gamma'] as const;
export type SecretName = (typeof SECRETS)[number];

/** The credential that ends with the wall clock: a jump may take it, and nothing else. */
export const EXPIRING = 'beta:BETA_EXPIRING';
/** Milliseconds that each generation of it lasts: longer than a run, shorter than a jump. */
const LASTS_MS = 3_600_000;
export const JUMP_MS = 2 * LASTS_MS;
/**
 * Milliseconds in which a jump must have ended it: a second each for the resolver's look at the clock and for the
 * library that moves it, and room for other work.
 */
const EXPIRED_WITHIN_MS = 4_000;

/** Provider files for these Secrets. `gamma` has one only where it is configured. */
export function writeProviders(workspace: Workspace, gamma: boolean): void {
  workspace.writeBulkProvider('alpha', 'alpha');
  workspace.writeProvider('beta.yaml', {
    name: 'beta',
    type: 'custom',
    endpoints: ENDPOINTS,
    credentials: Object.fromEntries(
      KEYS.beta.map((key) => [
        key,
        {
          source: { type: 'kubernetesSecret', namespace: NAMESPACE, name: 'beta', key },
          ...(`beta:${key}` === EXPIRING ? { expiresAt: { key: 'until' } } : {}),
        },
      ]),
    ),
  });
  if (gamma) workspace.writeBulkProvider('gamma', 'gamma');
  else workspace.writeProvider('gamma.yaml', 'provider: {name: gamma, type: custom, credentials: {}}');
}

const BAD_VALUES = [
  'empty',
  'not-utf8',
  'nul',
  'line-break',
  'too-large',
  'file-too-large',
  'folder',
  'link',
] as const;
const ODD_SHAPES = [
  'dangling',
  'outside',
  'data-is-a-file',
  'no-data',
  'folder-gone',
  'generation-gone',
] as const;

export class Volumes {
  readonly #workspace: Workspace;
  readonly #history: History;
  readonly #prefix: string;
  #generation = 0;
  /** Milliseconds that the resolver's wall clock is ahead. */
  #clockAheadMs = 0;
  /** Unix milliseconds at which the expiring credential that is mounted ends. */
  #endsAtMs = 0;

  constructor(workspace: Workspace, history: History, prefix: string) {
    this.#workspace = workspace;
    this.#history = history;
    this.#prefix = registerSecret(prefix);
  }

  /** A whole new generation, as External Secrets Operator makes one. */
  rotate(secret: SecretName): void {
    this.#write(secret, KEYS[secret]);
  }

  /** A generation without some of its keys. */
  removeKeys(secret: SecretName, random: () => number): void {
    this.#write(
      secret,
      KEYS[secret].filter(() => random() < 0.6),
    );
  }

  /** The Secret is deleted: what is mounted as optional becomes an empty folder. */
  removeSecret(secret: SecretName): void {
    this.#spoil(secret, (directory) => {
      rmSync(join(directory, '..data'), { force: true });
      this.#workspace.secret(secret).vanish();
    });
  }

  /** A generation some of whose values cannot be served. The others must be. */
  badValues(secret: SecretName, random: () => number): void {
    const bad = new Map(
      KEYS[secret].filter(() => random() < 0.3).map((key) => [key, pick(random, BAD_VALUES)]),
    );
    this.#write(secret, KEYS[secret], bad);
  }

  /** A volume that no atomic writer leaves behind. Each comes into force by one system call. */
  oddShape(secret: SecretName, random: () => number): void {
    const shape = pick(random, ODD_SHAPES);
    this.#spoil(secret, (directory) => {
      const data = join(directory, '..data');
      switch (shape) {
        case 'dangling':
          symlinkSync('..gone', join(directory, '..data_tmp'));
          renameSync(join(directory, '..data_tmp'), data);
          break;
        case 'outside': {
          const elsewhere = join(directory, '..', 'elsewhere');
          mkdirSync(elsewhere, { recursive: true });
          for (const key of KEYS[secret])
            writeFileSync(join(elsewhere, key), taggedValue(this.#prefix, secret, 0, key));
          symlinkSync('../elsewhere', join(directory, '..data_tmp'));
          renameSync(join(directory, '..data_tmp'), data);
          break;
        }
        case 'data-is-a-file':
          writeFileSync(join(directory, '..data_tmp'), taggedValue(this.#prefix, secret, 0, 'none'));
          renameSync(join(directory, '..data_tmp'), data);
          break;
        case 'no-data':
          rmSync(data, { force: true });
          writeFileSync(join(directory, 'loose'), taggedValue(this.#prefix, secret, 0, 'loose'));
          break;
        case 'folder-gone':
          rmSync(data, { force: true });
          rmSync(directory, { recursive: true });
          break;
        case 'generation-gone': {
          const target = this.#target(directory);
          // Another damage took it already.
          if (target === undefined || !existsSync(join(directory, target))) return;
          const away = join(directory, '..moved-away');
          rmSync(away, { recursive: true, force: true });
          renameSync(join(directory, target), away);
          break;
        }
      }
    });
  }

  /** Fills the tmpfs, then tries to rotate. Returns a function that frees the space. */
  fill(secret: SecretName): { readonly failed: boolean; readonly release: () => void } {
    const filler = join(this.#workspace.secretsRoot, 'filler');
    const fd = openSync(filler, 'w');
    // Small steps at the end: not a page must be left.
    for (const size of [1024 * 1024, 4_096, 1]) {
      const chunk = Buffer.alloc(size);
      try {
        for (let written = 0; written < 64 * 1024 * 1024; written += size) writeSync(fd, chunk);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
    closeSync(fd);
    const release = () => {
      unlinkSync(filler);
      this.#tidy(secret);
    };
    const directory = this.#directory(secret);
    const before = this.#target(directory);
    try {
      this.#write(secret, KEYS[secret]);
      return { failed: false, release };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      // Whatever was written, it never came into force: the swing of `..data` comes last.
      if (this.#target(directory) !== before) throw new Error('a write that failed came into force');
      return { failed: true, release };
    }
  }

  /** The wall clock of the resolver is this far ahead from now on; `set` makes it so. */
  jump(aheadMs: number, set: () => void): void {
    const before = now();
    set();
    this.#clockAheadMs = aheadMs;
    const allowed = Date.now() + aheadMs < this.#endsAtMs;
    this.#history.permit(EXPIRING, allowed, allowed ? before : now(), EXPIRED_WITHIN_MS);
  }

  get clockAheadMs(): number {
    return this.#clockAheadMs;
  }

  #write(
    secret: SecretName,
    keys: readonly string[],
    bad: ReadonlyMap<string, (typeof BAD_VALUES)[number]> = new Map(),
  ): void {
    const volume = this.#workspace.secret(secret);
    const generation = this.#generation + 1;
    const data: Record<string, string | Buffer> = {};
    for (const key of keys) {
      const value = taggedValue(this.#prefix, secret, generation, key);
      data[key] = badContent(value, bad.get(key));
    }
    const endsAtMs = Date.now() + this.#clockAheadMs + LASTS_MS;
    if (secret === 'beta') data.until = String(endsAtMs);
    // A key that no environment variable can be named after.
    if (bad.size > 0 && secret !== 'beta')
      data['not-a-name'] = taggedValue(this.#prefix, secret, generation, 'none');
    const plant = (directory: string) => {
      for (const [key, kind] of bad) {
        const path = join(directory, key);
        if (kind !== 'folder' && kind !== 'link') continue;
        rmSync(path);
        if (kind === 'folder') mkdirSync(path);
        else symlinkSync(KEYS[secret].find((other) => other !== key) ?? '', path);
      }
    };
    const before = now();
    volume.write(data, 0o444, plant);
    if (secret === 'beta') {
      this.#endsAtMs = endsAtMs;
      this.#history.permit(EXPIRING, true, before, EXPIRED_WITHIN_MS);
    }
    this.#generation = generation;
    this.#history.wrote(
      secret,
      generation,
      keys.filter((key) => !bad.has(key)),
      before,
      now(),
    );
    this.#tidy(secret);
  }

  #spoil(secret: SecretName, damage: (directory: string) => void): void {
    const directory = this.#workspace.secret(secret).directory;
    const before = now();
    damage(directory);
    this.#generation += 1;
    this.#history.wrote(secret, this.#generation, [], before, now());
  }

  /** Removes what damage and failed writes left beside the generation in force. */
  #tidy(secret: SecretName): void {
    const directory = this.#directory(secret);
    const target = this.#target(directory);
    for (const entry of readdirSync(directory)) {
      if (entry.startsWith('..') && entry !== '..data' && entry !== target)
        rmSync(join(directory, entry), { recursive: true, force: true });
    }
  }

  #directory(secret: SecretName): string {
    return join(this.#workspace.secretsRoot, NAMESPACE, secret);
  }

  #target(directory: string): string | undefined {
    try {
      return readlinkSync(join(directory, '..data'));
    } catch {
      return undefined;
    }
  }
}

function badContent(value: string, kind: (typeof BAD_VALUES)[number] | undefined): string | Buffer {
  switch (kind) {
    case 'empty':
      return '';
    case 'not-utf8':
      return Buffer.concat([Buffer.from(value), Buffer.from([0xff, 0xfe])]);
    case 'nul':
      return `${value}\0`;
    case 'line-break':
      return `${value}\n${value}`;
    case 'too-large':
      return value.padEnd(64 * 1024 + 1, 'x');
    case 'file-too-large':
      // One is enough: the volume has room for a few.
      return value.padEnd(1024 * 1024 + 1, 'x');
    case 'folder':
    case 'link':
    case undefined:
      return value;
  }
}

/** Chooses a Secret at random; `alpha` most often. */
export function chooseSecret(random: () => number): SecretName {
  return SECRETS[below(random, 4)] ?? 'alpha';
}
