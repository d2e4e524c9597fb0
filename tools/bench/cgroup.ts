/** Memory as the node bills it: a process started in a cgroup of its own. Needs root. */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = '/sys/fs/cgroup';
const FILES = {
  1: { current: 'memory.usage_in_bytes', peak: 'memory.max_usage_in_bytes' },
  2: { current: 'memory.current', peak: 'memory.peak' },
} as const;
const REMOVAL_TRIES = 50;

/** The version that accounts memory, and the folder for another cgroup, by the lines of /proc/self/cgroup. */
export function placeFor(self: string): { readonly version: 1 | 2; readonly folder: string } {
  const own = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(self)?.[1];
  if (own !== undefined) return { version: 1, folder: resolve(`${ROOT}/memory${own}`) };
  // Version 2 accounts in no cgroup below one that has processes itself, so beside our own.
  return { version: 2, folder: resolve(`${ROOT}${dirname(/^0::(.*)$/m.exec(self)?.[1] ?? '/')}`) };
}

let created = 0;

export class Cgroup implements AsyncDisposable {
  readonly #folder: string;
  readonly #files: (typeof FILES)[1 | 2];

  /** Throws where none can be made. */
  constructor() {
    const { version, folder } = placeFor(readFileSync('/proc/self/cgroup', 'utf8'));
    this.#files = FILES[version];
    this.#folder = join(folder, `secret-resolver-bench-${Date.now()}-${created++}`);
    mkdirSync(this.#folder);
    if (existsSync(join(this.#folder, this.#files.current))) return;
    rmdirSync(this.#folder);
    throw new Error('the memory controller is off where this process runs');
  }

  /** A command line that runs another one here, from its first instruction on and with the same PID. */
  command(...command: readonly string[]): [string, ...string[]] {
    return ['sh', '-c', 'echo 0 > "$0" && exec "$@"', join(this.#folder, 'cgroup.procs'), ...command];
  }

  /** MiB now. */
  get current(): number {
    return this.#mib(this.#files.current);
  }

  /** The most MiB that it ever had. */
  get peak(): number {
    return this.#mib(this.#files.peak);
  }

  #mib(file: string): number {
    return Number(readFileSync(join(this.#folder, file), 'utf8')) / 2 ** 20;
  }

  /** Removes it, once its processes are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        rmdirSync(this.#folder);
        return;
      } catch (error) {
        if (attempt === REMOVAL_TRIES) throw error;
        await sleep(20);
      }
    }
  }
}
