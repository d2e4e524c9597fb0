/** The real CLI in child processes. Their output is kept for the leak search. */

import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { MAIN, NODE } from './checkout.ts';
import { endWithUs } from './leftovers.ts';
import { ARTIFACTS } from './secrets.ts';

export interface CliOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string | Buffer;
  /** The node to run it with; that of the tests unless given. */
  readonly node?: string;
  /** Flags for node itself. */
  readonly nodeFlags?: readonly string[];
  /** Arguments after node's flags that replace the checkout's program. */
  readonly program?: string;
}

export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A CLI process that may still run. */
export class CliProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Folder with `stdout` and `stderr` of this process. */
  readonly artifacts: string;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], options: CliOptions = {}) {
    mkdirSync(ARTIFACTS, { recursive: true });
    this.artifacts = mkdtempSync(join(ARTIFACTS, `${args[0] ?? 'cli'}-`));
    this.child = spawn(
      options.node ?? NODE,
      [...(options.nodeFlags ?? []), options.program ?? MAIN, ...args],
      {
        env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', NO_COLOR: '1', ...options.env },
        stdio: ['pipe', 'pipe', 'pipe'],
        ...(options.uid === undefined ? {} : { uid: options.uid }),
        ...(options.gid === undefined ? {} : { gid: options.gid }),
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      },
    );
    endWithUs(this.child);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      appendFileSync(join(this.artifacts, 'stdout'), text);
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      appendFileSync(join(this.artifacts, 'stderr'), text);
    });
    this.child.stdin?.on('error', () => {});
    this.child.stdin?.end(options.input ?? '');
    this.finished = new Promise((done, fail) => {
      this.child.once('error', fail);
      this.child.once('close', (code, signal) =>
        done({ code, signal, stdout: this.stdout, stderr: this.stderr }),
      );
    });
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  /** Audit records or log lines so far. */
  lines(stream: 'stdout' | 'stderr'): Record<string, unknown>[] {
    return this[stream]
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.child.kill(signal);
  }

  async stop(): Promise<Finished> {
    this.kill();
    return this.finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.finished.catch(() => {});
  }
}

/** Runs the CLI until it exits. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<Finished> {
  return new CliProcess(args, options).finished;
}

/** Starts `serve` and waits until it listens. Relaxed, because a bare machine lacks a pod's boundary; test/boundary tests that. */
export async function startServe(
  configFile: string,
  args: readonly string[] = [],
  options: CliOptions = {},
): Promise<CliProcess> {
  const serve = new CliProcess(['serve', '--relaxed', '--config', configFile, ...args], options);
  await until(
    () => serve.stderr.includes('"msg":"listening"') || serve.child.exitCode !== null,
    60_000,
    () => `serve did not start:\n${serve.stderr}`,
  );
  if (serve.child.exitCode !== null)
    throw new Error(`serve exited with ${serve.child.exitCode}:\n${serve.stderr}`);
  return serve;
}

/** Waits until `condition` holds. On timeout, throws with the text of `explain`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 5_000,
  explain: () => string = () => 'timed out waiting for the condition',
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(explain());
    await new Promise((wake) => setTimeout(wake, 5));
  }
}
