/** A real shortage of descriptors, in a process of its own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { withDescriptors } from '../support/descriptor-shortage.ts';

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
  msg: 'the resolver has too few descriptors or too little memory to read; what was read before stays in force for a while',
};
const OVER = { level: 30, volume: 'tenant/credentials', msg: 'the volume can be read again' };

it('a shortage of descriptors keeps the last read in force, whole, and a rotation meanwhile is seen after it', () => {
  const { states, said, ms } = run('rides-out');
  expect(states).toEqual([FIRST, 'still short', { one: 'second', two: 'second' }]);
  expect(said).toEqual([{ ...SHORT, forMs: 30_000 }, OVER]);
  expect(ms).toBeLessThan(1_500);
});

it('a shortage that lasts fails closed, and is got over when it ends', () => {
  const { states, said } = run('lasts');
  expect(states).toEqual([FIRST, '!unreadable', FIRST]);
  expect(said).toEqual([{ ...SHORT, forMs: 500 }, OVER]);
});

it('a volume that starts in a shortage waits for its first read', () => {
  const { states, ms } = run('start');
  expect(states).toEqual([FIRST]);
  expect(ms).toBeGreaterThan(900);
  expect(ms).toBeLessThan(4_000);
});

it('a volume that starts in a shortage can be closed', () => {
  const { states, ms } = run('ends');
  expect(states).toEqual([]);
  expect(ms).toBeLessThan(4_000);
});
