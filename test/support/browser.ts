/** Debian's chromium without a window, by the DevTools protocol over a pipe: no port is opened. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { endWithUs, removeWithUs } from './leftovers.ts';

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly request?: { readonly url: string } };
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

export class Browser implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #profile = mkdtempSync(join(tmpdir(), 'msr-browser-'));
  readonly #removeProfile = removeWithUs(this.#profile);
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  #session: string | undefined;
  #next = 1;
  #buffer = '';
  /** URL of every request that a page made. */
  readonly requests: string[] = [];
  #loaded = Promise.withResolvers<void>();

  constructor() {
    this.#child = spawn(
      'chromium',
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--remote-debugging-pipe',
        `--user-data-dir=${this.#profile}`,
      ],
      {
        stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
        detached: true,
        env: { ...process.env, HOME: this.#profile },
      },
    );
    endWithUs(this.#child, true);
    (this.#child.stdio[4] as Readable).setEncoding('utf8').on('data', (text: string) => {
      const parts = (this.#buffer + text).split('\0');
      this.#buffer = parts.pop() ?? '';
      for (const part of parts) this.#take(JSON.parse(part));
    });
    this.#child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('chromium has ended'));
    });
  }

  #take({ id, method, params, result, error }: Message): void {
    if (method === 'Network.requestWillBeSent') this.requests.push(params?.request?.url ?? '');
    if (method === 'Page.loadEventFired') this.#loaded.resolve();
    if (id === undefined) return;
    if (error === undefined) this.#waiting.get(id)?.resolve(result ?? {});
    else this.#waiting.get(id)?.reject(new Error(error.message));
    this.#waiting.delete(id);
  }

  async send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = this.#next++;
    const answer = Promise.withResolvers<Record<string, unknown>>();
    this.#waiting.set(id, answer);
    const session = this.#session === undefined ? {} : { sessionId: this.#session };
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return answer.promise;
  }

  async open(url: string): Promise<void> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    this.#session = String(sessionId);
    await Promise.all([this.send('Page.enable'), this.send('Network.enable')]);
    await this.send('Page.navigate', { url });
    await this.#loaded.promise;
  }

  async evaluate<T>(expression: string): Promise<T> {
    const { result } = await this.send('Runtime.evaluate', { expression, returnByValue: true });
    return (result as { value: T }).value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    // Its helpers are of its process group.
    process.kill(-(this.#child.pid ?? 0), 'SIGKILL');
    await ended;
    this.#removeProfile();
  }
}
