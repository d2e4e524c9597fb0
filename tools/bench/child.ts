/** Processes of the harness that talk to it over IPC. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { NODE } from '../../test/support/checkout.ts';
import { endWithUs } from '../../test/support/leftovers.ts';
import type { Cgroup } from './cgroup.ts';

const CHILDREN = join(import.meta.dirname, 'children');

/** Environment of all processes that are measured: nothing of ours that could change one side. */
export const BARE_ENVIRONMENT = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', NO_COLOR: '1' };

// Ctrl-C too: children end in `exit` and at SIGTERM (test/support/leftovers.ts).
process.once('SIGINT', () => process.exit(1));

/** Sees to it that a process ends with the harness. */
export function ours<T extends ChildProcess>(child: T): T {
  endWithUs(child);
  return child;
}

/** A script of `children/`. It says `{ready: true}` when it is. */
export class Child implements AsyncDisposable {
  readonly process: ChildProcess;

  private constructor(script: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.process = ours(
      fork(join(CHILDREN, script), args, {
        execPath: NODE,
        execArgv: [],
        serialization: 'advanced',
        env: { ...BARE_ENVIRONMENT, ...env },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    );
  }

  static async start(
    script: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Child> {
    const child = new Child(script, args, env);
    await once(child.process, 'message');
    return child;
  }

  send(message: object): void {
    this.process.send(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await killed(this.process);
  }
}

/** Node as it is, at rest: the baseline of memory and idle cost. */
export class BareNode implements AsyncDisposable {
  readonly #process: ChildProcess;

  constructor(cgroup?: Cgroup) {
    const [program, ...args] = commandIn(cgroup, NODE, '-e', 'setInterval(() => {}, 1_000_000)');
    this.#process = ours(spawn(program, args, { env: BARE_ENVIRONMENT, stdio: 'ignore' }));
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await killed(this.#process);
  }
}

/** A command line, in a cgroup of its own if one is given. */
export function commandIn(
  cgroup: Cgroup | undefined,
  program: string,
  ...args: string[]
): [string, ...string[]] {
  return cgroup?.command(program, ...args) ?? [program, ...args];
}

/** Terminates one of our processes, and waits until it exits. */
export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
