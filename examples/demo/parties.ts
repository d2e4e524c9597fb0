/**
 * The parties of the demo as processes. As root each gets a UID, a mount namespace and a PID namespace of its
 * own: what three containers of one pod have. Otherwise they are plain children, and the demo says what that
 * leaves out.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** A party that ends is noticed at once; this is for one that hangs, on a busy machine too. */
export const START_TIMEOUT_MS = 30_000;

export interface Party {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Shell lines that root runs in the party's mount namespace before it gives up its rights. */
  readonly mounts: readonly string[];
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A party that runs: what it prints, line by line, and a way to tell it something. */
export class RunningParty implements AsyncDisposable {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #errors: string[] = [];
  readonly #ended: Promise<number | null>;
  #wake: () => void = () => {};

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#child = child;
    const collect = (stream: NodeJS.ReadableStream | null, into: string[]) => {
      if (stream === null) return;
      createInterface({ input: stream }).on('line', (line) => {
        into.push(line);
        this.#wake();
      });
    };
    collect(child.stdout, this.#lines);
    collect(child.stderr, this.#errors);
    child.stdin?.on('error', () => {});
    this.#ended = new Promise((done) => {
      child.once('error', () => done(null));
      child.once('close', (code) => {
        done(code ?? 1);
        this.#wake();
      });
    });
  }

  /** All lines on stdout so far. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The last lines on stderr: for an error message. */
  get complaints(): string {
    return this.#errors.slice(-20).join('\n');
  }

  /** Everything that it has written so far. */
  get output(): string {
    return [...this.#lines, ...this.#errors].join('\n');
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Waits for the first line from `from` on that `wanted` takes something from. */
  async next<T>(
    wanted: (line: string) => T | undefined,
    what: string,
    from = 0,
    timeoutMs = START_TIMEOUT_MS,
  ): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    let at = from;
    for (;;) {
      for (; at < this.#lines.length; at++) {
        const found = wanted(this.#lines[at] ?? '');
        if (found !== undefined) return found;
      }
      const left = deadline - performance.now();
      if (left <= 0 || this.ended) {
        throw new Error(`${this.name} did not say ${what}\n${this.complaints}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 500));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Sends one line. */
  tell(message: object): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ended) {
      // First the party itself, the first process of its PID namespace: with it goes all that it started. The
      // death signal that unshare sets is lost when the party changes its UID.
      for (const pid of childrenOf(this.#child.pid)) process.kill(pid, 'SIGKILL');
      this.#child.kill('SIGKILL');
    }
    await this.#ended;
  }
}

function childrenOf(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Whether this process may make namespaces and change UIDs. */
export function canIsolate(): boolean {
  if (process.geteuid?.() !== 0) return false;
  const tried = spawnSync(
    'unshare',
    ['--mount', '--pid', '--fork', '--mount-proc', 'setpriv', '--reuid=65000', 'true'],
    { stdio: 'ignore' },
  );
  return tried.status === 0;
}

/** Starts a party. */
export function startParty(party: Party, isolated: boolean): RunningParty {
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', ...party.env };
  const [program = '', ...args] = isolated ? isolatedCommand(party) : party.command;
  return new RunningParty(
    party.name,
    spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' }),
  );
}

function isolatedCommand(party: Party): string[] {
  const script = ['set -e', ...party.mounts, 'exec "$@"'].join('\n');
  return [
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    '--mount-proc',
    'sh',
    '-c',
    script,
    'sh',
    'setpriv',
    `--reuid=${party.uid}`,
    `--regid=${party.gid}`,
    '--clear-groups',
    '--inh-caps=-all',
    '--bounding-set=-all',
    '--no-new-privs',
    '--',
    ...party.command,
  ];
}
