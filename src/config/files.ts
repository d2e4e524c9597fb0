/** The files that a configuration is read from. */
import { hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError, errorCode } from '../domain/errors.ts';

/** Names of the files that are read in a folder of providers or profiles. */
export const YAML_FILE = /^[^.].*\.(ya?ml|json)$/;

/** Attempts to read files that do not change meanwhile. kubelet swaps a ConfigMap in microseconds. */
const MAX_TRIES = 8;

/**
 * What `load` makes of files that did not change while it read them, or why they are wrong; `loaded` is undefined where
 * they always did.
 */
export function readUnchanged<T>(load: (files: ConfigFiles) => T): {
  readonly loaded: T | ConfigError | undefined;
  readonly files: ConfigFiles;
} {
  let files = new ConfigFiles();
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    files = new ConfigFiles();
    const loaded = attempt(load, files);
    if (!files.changed()) return { loaded, files };
  }
  // They differ from what was read, so that the next comparison leads back here.
  return { loaded: undefined, files };
}

function attempt<T>(load: (files: ConfigFiles) => T, files: ConfigFiles): T | ConfigError {
  try {
    return load(files);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** What one attempt to load the configuration read, so that a later change of any of it can be noticed. */
export class ConfigFiles {
  /** Path of a file or folder → a digest of its content or its list of files, or the code of the error. */
  readonly #seen = new Map<string, string>();
  readonly #folders = new Set<string>();
  /** Files in the folders that are not read; those that begin with two dots are kubelet's. */
  readonly passedBy: string[] = [];

  readText(file: string): string {
    this.#folders.add(dirname(file));
    return this.#note(file, () => readFileSync(file, 'utf8'));
  }

  /** Names of the files in a folder that are read, in a fixed order. Names that begin with a dot are kubelet's. */
  list(folder: string): string[] {
    this.#folders.add(folder);
    // No name has a NUL in it.
    const names = this.#note(folder, () => readdirSync(folder).sort().join('\0')).split('\0');
    const passedBy = names.filter((name) => name !== '' && !name.startsWith('..') && !YAML_FILE.test(name));
    this.passedBy.push(...passedBy.map((name) => join(folder, name)));
    return names.filter((name) => YAML_FILE.test(name));
  }

  /** Where a change of any of them makes an event. */
  get folders(): ReadonlySet<string> {
    return this.#folders;
  }

  /** Whether any of it reads otherwise now. */
  changed(): boolean {
    const now = new ConfigFiles();
    for (const path of this.#seen.keys()) {
      try {
        if (this.#folders.has(path)) now.list(path);
        else now.readText(path);
      } catch {
        // Noted, as it was the first time.
      }
    }
    return [...this.#seen].some(([path, digest]) => now.#seen.get(path) !== digest);
  }

  #note(path: string, read: () => string): string {
    try {
      const text = read();
      this.#seen.set(path, hash('sha256', text));
      return text;
    } catch (error) {
      this.#seen.set(path, errorCode(error));
      throw error;
    }
  }
}
