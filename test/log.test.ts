/** The log with real pipes and processes: whoever does not read it costs the service nothing. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { connect } from '../src/client/index.ts';
import { MAIN, NODE } from './support/checkout.ts';
import { until } from './support/cli.ts';
import { newSecret } from './support/secrets.ts';
import { Workspace } from './support/workspace.ts';

type Line = Record<string, unknown>;
const parsed = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);

function start(...args: string[]) {
  const child = spawn(NODE, args, { env: { PATH: process.env.PATH ?? '' } });
  let text = '';
  child.stdin.on('error', () => {});
  const ended = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
  return {
    child,
    ended,
    read: () => {
      child.stderr.setEncoding('utf8').on('data', (more: string) => {
        text += more;
      });
      child.stderr.resume();
    },
    text: () => text,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill('SIGKILL');
      child.stderr.resume();
      child.stdout.resume();
      await ended;
    },
  };
}
const CHILD = join(import.meta.dirname, 'log-child.ts');

describe('serve, whose log nobody reads', () => {
  it('answers and rotates as ever while thousands of lines are produced, and ends in time', async () => {
    using workspace = new Workspace();
    workspace.writeConfig({});
    workspace.writeBulkProvider('p', 's');
    const secret = workspace.secret('s');
    const rotate = () => {
      const value = newSecret();
      secret.write(Object.fromEntries(Array.from({ length: 25 }, (_, key) => [`KEY_${key}`, value])));
      return value;
    };
    rotate();
    await using serve = start(MAIN, 'serve', '--config', workspace.configFile, '--relaxed');
    serve.child.stderr.pause();
    serve.child.stdout.resume();
    using client = connect({ socket: workspace.socket });
    const current = () =>
      client.getProviderEnvironment().then(
        ({ credentials }) => credentials.get('KEY_24')?.value.reveal().toString(),
        () => undefined,
      );
    await until(async () => (await current()) !== undefined, 15_000);
    let slowest = 0;
    // Each is 21 lines of some 150 bytes; a pipe holds 64 KiB.
    for (let rotation = 0; rotation < 150; rotation++) {
      const value = rotate();
      await until(async () => {
        const began = performance.now();
        const found = await current();
        slowest = Math.max(slowest, performance.now() - began);
        return found === value;
      });
    }
    expect(slowest).toBeLessThan(200);
    const began = performance.now();
    serve.child.kill('SIGTERM');
    await new Promise((done) => serve.child.once('exit', done));
    expect(serve.child.exitCode).toBe(0);
    expect(performance.now() - began).toBeLessThan(5_000);
  }, 60_000);
});

describe('the log', () => {
  it('drops lines beyond a bound, keeps the one that explains an exit, and says how many are missing', async () => {
    await using process = start(CHILD, 'many', '50000');
    process.child.stderr.pause();
    const rss = await new Promise<number>((done) =>
      process.child.stdout.once('data', (text) => done(Number(text))),
    );
    expect(rss).toBeLessThan(256 * 1024 * 1024);
    process.read();
    await sleep(300);
    process.child.stdin.write('go on\n');
    expect(await process.ended).toBe(0);
    const lines = parsed(process.text());
    const kept = lines.flatMap(({ n }) => (typeof n === 'number' ? [n] : []));
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, n) => n));
    expect(lines.slice(kept.length)).toMatchObject([
      { level: 'fatal', msg: 'why it ends' },
      {
        level: 'warn',
        dropped: 50_000 - kept.length,
        msg: 'log lines were dropped: the stream took no more',
      },
      { level: 'info', msg: 'after it' },
    ]);
  });

  it('does not keep a process from ending when nobody reads', async () => {
    await using process = start(CHILD, 'ends', '50000');
    process.child.stderr.pause();
    const began = performance.now();
    await new Promise((done) => process.child.once('exit', done));
    expect(process.child.exitCode).toBe(0);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('is there when a process ends by an error that nobody caught', async () => {
    await using process = start(CHILD, 'throws', '100');
    process.read();
    expect(await process.ended).not.toBe(0);
    const lines = parsed(process.text());
    expect(lines.map(({ n, msg }) => n ?? msg)).toEqual([
      ...Array.from({ length: 100 }, (_, n) => n),
      'why it ends',
      'at last',
    ]);
  });

  it('cuts long texts and lists, for names come from peers and Secrets', async () => {
    await using process = start(CHILD, 'long');
    process.read();
    expect(await process.ended).toBe(0);
    const text = process.text();
    for (const line of text.split('\n')) expect(line.length).toBeLessThan(5_000);
    const [long, error] = parsed(text) as [Line, Line];
    expect(long.text).toMatch(/^n{512}… \(100000 characters\)$/);
    expect(long.names).toEqual([
      ...Array.from({ length: 20 }, (_, index) => `name-${index}`),
      '… and 9980 more',
    ]);
    expect(long.deep).toEqual({ refusal: { names: long.names } });
    expect(error.err).toMatchObject({ name: 'Error', message: long.text });
  });
});
