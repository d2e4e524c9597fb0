/** A real shortage of descriptors, in a process of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { Volume, type VolumeState } from '../../src/sources/volume.ts';
import { until } from '../support/cli.ts';
import { withDescriptors } from '../support/descriptor-shortage.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';

function run(story: string): { states: unknown[]; said: { msg: string }[]; ms: number } {
  const folder = mkdtempSync(join(tmpdir(), 'msr-short-'));
  try {
    const child = join(import.meta.dirname, 'shortage-child.ts');
    return JSON.parse(
      execFileSync('sh', withDescriptors(200, process.execPath, child, join(folder, 'volume'), story), {
        encoding: 'utf8',
        timeout: 30_000,
      }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const FIRST = { one: 'first', two: 'first' };
const SHORT = {
  level: 50,
  volume: 'tenant/credentials',
  code: 'EMFILE',
  msg: 'too few descriptors or too little memory to read the volume; the previous read stays in force for now',
};
const OVER = { level: 30, volume: 'tenant/credentials', msg: 'the volume can be read again' };

it('a shortage of descriptors keeps the whole last read, and a rotation meanwhile is seen afterwards', () => {
  const { states, said, ms } = run('rides-out');
  expect(states).toEqual([FIRST, 'still short', { one: 'second', two: 'second' }]);
  expect(said).toEqual([{ ...SHORT, forMs: 30_000 }, OVER]);
  expect(ms).toBeLessThan(1_500);
});

it('a long shortage fails closed, and the volume recovers when it ends', () => {
  const { states, said } = run('lasts');
  expect(states).toEqual([FIRST, '!unreadable', FIRST]);
  expect(said).toEqual([{ ...SHORT, forMs: 500 }, OVER]);
});

it('a volume that starts during a shortage waits for its first read', () => {
  const { states, ms } = run('start');
  expect(states).toEqual([FIRST]);
  expect(ms).toBeGreaterThan(900);
  expect(ms).toBeLessThan(4_000);
});

it('a volume that starts during a shortage can be closed', () => {
  const { states, ms } = run('ends');
  expect(states).toEqual([]);
  expect(ms).toBeLessThan(4_000);
});

/** The same in this process: with a limit below the open descriptors, no more can be opened. */
it('keeps the last read while this process cannot open anything, and reads again when it can', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'msr-short-'));
  const secret = new SecretVolume(join(folder, 'volume'));
  secret.write({ one: newSecret() });
  // In memory only: a log file could not be opened either.
  const said: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => said.push(line) });
  const states: VolumeState[] = [];
  const volume = new Volume({
    secret: { namespace: 'tenant', name: 'credentials' },
    directory: secret.directory,
    wanted: { keys: new Set(['one']), all: false },
    log,
    rereadIntervalMs: 20,
    onChange: (state) => states.push(state),
  });
  // Started before the shortage: it changes our limit from outside, once for each line it reads.
  const limits = spawn(
    'sh',
    ['-c', `while read soft; do prlimit --pid ${process.pid} --nofile=$soft:; echo done; done`],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
    },
  );
  const limit = async (soft: number) => {
    const answered = once(limits.stdout, 'data');
    limits.stdin.write(`${soft}\n`);
    await answered;
  };
  const usual = Number(/Max open files +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
  try {
    await volume.start();
    await limit(3);
    await sleep(300);
    await limit(usual);
    expect(states).toHaveLength(1);
    secret.write({ one: newSecret() });
    await until(() => states.length === 2);
    expect(states.map(({ read }) => read.kind)).toEqual(['generation', 'generation']);
    for (const { msg } of [SHORT, OVER]) expect(said.join('')).toContain(msg);
  } finally {
    await limit(usual);
    limits.stdin.end();
    await volume[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }
});
