import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { until } from './cli.ts';

/** A program on a pseudo terminal. */
export class Terminal implements AsyncDisposable {
  readonly #child: ChildProcess;
  text = '';
  constructor(command: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn('script', ['-qfec', `stty cols 200; exec ${command.join(' ')}`, '/dev/null'], {
      cwd,
      env: { PATH: process.env.PATH ?? '', TERM: 'dumb', HOME: cwd, ...env },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
    });
  }
  write(text: string): void {
    this.#child.stdin?.write(text);
  }
  /** Waits for all of these words; a test that waits in vain shows what there was. */
  async shows(...words: readonly string[]): Promise<void> {
    const lacking = () => words.filter((word) => !this.text.split(/\s+/).includes(word));
    await until(
      () => lacking().length === 0,
      20_000,
      () => `no ${lacking()}: ${this.text}`,
    );
  }
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    const { pid } = this.#child;
    // Each child leads a process group. A hang-up is no end: `serve` reads its configuration again.
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    for (const group of children.filter(Boolean)) process.kill(-Number(group), 'SIGKILL');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
