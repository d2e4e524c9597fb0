/** The resolver's process, restarted as kubelet would. Its output is kept for the leak search. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, createWriteStream, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGE_ENVIRONMENT } from '../../test/support/product.ts';
import { ARTIFACTS } from '../../test/support/secrets.ts';
import type { Held, Sample } from './growth.ts';
import { now } from './observation.ts';

export interface ResolverOptions {
  /** Node, and all that it is started with. */
  readonly command: readonly [string, ...string[]];
  readonly uid: number | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Called when a process exits unexpectedly. */
  readonly onUnexpectedEnd: (how: string) => void;
}

export interface Life {
  readonly pid: number;
  readonly spawnedAt: number;
  /** When its log said that it listens. */
  listeningAt: number | undefined;
  /** CPU time that it had taken by then, in milliseconds: a slow start on a busy machine is told by it. */
  startCpuMs: number;
  readonly samples: Sample[];
}

export class Resolver {
  readonly lives: Life[] = [];
  readonly #options: ResolverOptions;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #expected = false;
  #onListening: (() => void)[] = [];

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** Starts a process, without waiting until it listens. */
  start(): void {
    const { command, uid, env } = this.#options;
    const [node, ...args] = command;
    const folder = join(ARTIFACTS, `life-${this.lives.length + 1}`);
    mkdirSync(folder, { recursive: true });
    const stderr = createWriteStream(join(folder, 'stderr'));
    this.#expected = false;
    const stdout = openSync(join(folder, 'stdout'), 'w');
    const spawnedAt = now();
    const child = spawn(node, args, {
      env: {
        PATH: process.env.PATH ?? '',
        HOME: '/nonexistent',
        NO_COLOR: '1',
        ...IMAGE_ENVIRONMENT,
        ...env,
      },
      stdio: ['ignore', stdout, 'pipe'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    closeSync(stdout);
    const life: Life = {
      pid: child.pid ?? -1,
      spawnedAt,
      listeningAt: undefined,
      startCpuMs: Number.NaN,
      samples: [],
    };
    this.lives.push(life);
    this.#child = child;
    let tail = '';
    child.stderr?.pipe(stderr);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (life.listeningAt !== undefined) return;
      tail += text;
      if (!tail.includes('"msg":"listening"')) return;
      life.listeningAt = now();
      life.startCpuMs = cpuMs(life.pid);
      for (const told of this.#onListening.splice(0)) told();
    });
    this.#ended = new Promise((done) => {
      child.once('exit', (code, signal) => {
        if (!this.#expected) this.#options.onUnexpectedEnd(`exit ${code ?? signal}; see ${folder}`);
        done();
      });
    });
  }

  get life(): Life {
    const life = this.lives.at(-1);
    if (life === undefined) throw new Error('the resolver was never started');
    return life;
  }

  /** Resolves when the process of that moment listens. */
  async listening(): Promise<void> {
    if (this.life.listeningAt !== undefined) return;
    await new Promise<void>((done) => this.#onListening.push(done));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Ends the process, and waits for that. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#expected = true;
    this.signal(signal);
    await this.#ended;
  }

  /** Lowers the process's limit so that at most `more` descriptors can be opened; returns a function that undoes it. Needs root. */
  shorten(more: number): () => void {
    const open = Math.max(...readdirSync(`/proc/${this.life.pid}/fd`).map(Number));
    return this.#limit('nofile', 'Max open files', open + 1 + more);
  }

  /** Lowers its limit so that it can start neither a process nor a thread; returns a function that undoes it. Needs root. */
  forbidThreads(): () => void {
    return this.#limit('nproc', 'Max processes', 1);
  }

  #limit(option: string, name: string, soft: number): () => void {
    const { pid } = this.life;
    const { uid } = this.#options;
    // The resolver's own UID may change it; root may only with CAP_SYS_RESOURCE, which a container's root has not.
    const limit = (to: number | string) =>
      execFileSync('prlimit', ['--pid', String(pid), `--${option}=${to}:`], {
        stdio: 'ignore',
        ...(uid === undefined ? {} : { uid, gid: uid }),
      });
    const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
    const before = new RegExp(`^${name} +(\\d+|unlimited)`, 'm').exec(limits)?.[1];
    if (before === undefined) throw new Error(`the kernel lists no limit "${name}"`);
    limit(soft);
    return () => limit(before);
  }

  /** Takes a sample of a process that listens; `held` is what the peers hold open meanwhile, undefined where nobody knows. */
  sample(watchers: number | undefined, held: Held | undefined): void {
    const { pid, listeningAt, samples } = this.life;
    if (listeningAt === undefined) return;
    try {
      const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
      if (rss === undefined) return;
      const countable = held !== undefined && process.getuid?.() === 0;
      const descriptors = countable ? readdirSync(`/proc/${pid}/fd`).length : undefined;
      samples.push({ at: now(), rssMiB: Number(rss) / 1024, descriptors, watchers, held });
    } catch {
      // It was just killed.
    }
  }
}

/** User and system time of a process, in milliseconds; the kernel counts it in hundredths of a second. */
function cpuMs(pid: number): number {
  try {
    // The name in parentheses may hold anything; the numbers begin after it.
    const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(/\) (?!.*\) )/s);
    const [user, system] = fields.split(' ').slice(11, 13);
    return (Number(user) + Number(system)) * 10;
  } catch {
    return Number.NaN;
  }
}
