/** Searches what the agent may read anyway for values that should never have come there. */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ifReadable } from '../facts/readable.ts';
import { SERVICE_ACCOUNT_FOLDERS } from './files.ts';
import { describeProcess, processesToAttack } from './surroundings.ts';
import { describeFind, findTokens } from './token-shapes.ts';
import type { Tries } from './tries.ts';
import type { AttackContext } from './types.ts';

const MAX_FILES = 20_000;
/** Bytes read of one file: credentials are in small files, or near the top of a log. */
const MAX_FILE_BYTES = 262_144;
const MAX_TOTAL_BYTES = 67_108_864;
const MAX_DEPTH = 8;
/** Milliseconds for the search of files, so that a large workspace does not hold the pod up. */
const SEARCH_MS = 2500;

/** Where files that somebody left for the agent lie. */
const USUAL_PLACES = [
  '/tmp',
  '/var/tmp',
  '/run',
  '/var/run',
  '/dev/shm',
  '/etc',
  '/home',
  '/workspace',
  '/sandbox',
];
const NEVER_ENTERED = new Set(['node_modules', 'proc', 'sys']);
/** Our own package: its texts name token prefixes, and it may be the working folder in our own image. */
const OWN_PACKAGE = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

export const attacks = {
  'environment-search': searchEnvironment,
  'command-line-search': searchCommandLines,
  'file-search': searchFiles,
};

function searchEnvironment(context: AttackContext, tries: Tries): void {
  const entries = Object.entries(context.env);
  let finds = 0;
  for (const [name, value = ''] of entries) {
    for (const find of findTokens(value)) {
      finds++;
      tries.broken(`variable ${name}`, describeFind(find));
    }
  }
  if (finds === 0) tries.held(`${entries.length} variables`, 'nothing found');
}

function searchCommandLines(context: AttackContext, tries: Tries): void {
  for (const entry of processesToAttack(context, tries)) {
    const target = `arguments of ${describeProcess(entry)}`;
    const line = ifReadable(() => readFileSync(`/proc/${entry.pid}/cmdline`, 'latin1')) ?? '';
    const finds = findTokens(line.replaceAll('\0', '\n'));
    for (const find of finds) tries.broken(target, describeFind(find));
    if (finds.length === 0) tries.held(target, 'nothing found');
  }
}

function searchFiles(context: AttackContext, tries: Tries): void {
  const { HOME } = context.env;
  const places = [...context.searchPaths, ...(HOME ? [HOME] : []), process.cwd(), ...USUAL_PLACES];
  // Attacks of their own are made on these, and the operator may have said that the agent is meant to read them.
  const skip = [...context.allowedMounts, ...SERVICE_ACCOUNT_FOLDERS, OWN_PACKAGE];
  new FileSearch(tries, skip).search(places.filter((place) => place !== '/'));
}

class FileSearch {
  readonly #tries: Tries;
  /** Folders that are not to be searched, or were. */
  readonly #passed: Set<string>;
  readonly #buffer = Buffer.alloc(MAX_FILE_BYTES);
  readonly #deadline = performance.now() + SEARCH_MS;
  #files = 0;
  #bytes = 0;
  #finds = 0;
  #exhausted = false;

  constructor(tries: Tries, skip: readonly string[]) {
    this.#tries = tries;
    this.#passed = new Set(skip);
  }

  search(places: readonly string[]): void {
    for (const place of places) this.#searchFolder(place, 0);
    this.#buffer.fill(0);
    const limit = this.#exhausted ? '; stopped at a limit: name the folder that matters with --search' : '';
    if (this.#finds === 0) {
      this.#tries.held(`${this.#files} files, ${this.#bytes} bytes`, `nothing found${limit}`);
    }
  }

  #searchFolder(folder: string, depth: number): void {
    if (this.#passed.has(folder)) return;
    this.#passed.add(folder);
    for (const entry of ifReadable(() => readdirSync(folder, { withFileTypes: true })) ?? []) {
      if (this.#isExhausted()) return;
      const path = join(folder, entry.name);
      // A link is left alone: what it leads to is searched where it is, if it is in a place to be searched.
      if (entry.isFile()) this.#searchFile(path);
      else if (entry.isDirectory() && depth < MAX_DEPTH && !NEVER_ENTERED.has(entry.name))
        this.#searchFolder(path, depth + 1);
    }
  }

  #isExhausted(): boolean {
    this.#exhausted ||=
      this.#files >= MAX_FILES || this.#bytes >= MAX_TOTAL_BYTES || performance.now() > this.#deadline;
    return this.#exhausted;
  }

  #searchFile(path: string): void {
    const length = ifReadable(() => {
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
      try {
        return fstatSync(fd).isFile() ? readSync(fd, this.#buffer, 0, MAX_FILE_BYTES, 0) : undefined;
      } finally {
        closeSync(fd);
      }
    });
    if (length === undefined) return;
    this.#files++;
    this.#bytes += length;
    for (const find of findTokens(this.#buffer.toString('latin1', 0, length))) {
      this.#finds++;
      this.#tries.broken(`${path}:${find.line}`, describeFind(find));
    }
  }
}
