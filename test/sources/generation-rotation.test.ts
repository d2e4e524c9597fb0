import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readGeneration } from '../../src/sources/kubelet-secret/generation.ts';
import type { Wanted } from '../../src/sources/source.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { folderInMemory } from '../support/memory-folder.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';
import { ALL, only, shown } from './volume-reads.ts';

const ROTATIONS = 1_000;
const KEYS = 12;

let directory: string;
beforeEach(() => {
  directory = folderInMemory();
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Reads continuously while another process rotates continuously. Returns the distinct reads in order. */
async function race(wanted: Wanted, seed: string): Promise<(Record<string, string> | string)[]> {
  const seen: (Record<string, string> | string)[] = [];
  let last = '';
  const look = () => {
    const read = shown(readGeneration(directory, wanted));
    const text = JSON.stringify(read);
    if (text !== last) seen.push(read);
    last = text;
  };
  const writer = spawn(
    process.execPath,
    [join(import.meta.dirname, '../support/rotate.ts'), directory, `${ROTATIONS}`, `${KEYS}`, '0'],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, VALUE_PREFIX: seed } },
  );
  const ended = once(writer, 'exit');
  while (writer.exitCode === null && writer.signalCode === null) {
    for (let count = 0; count < 200; count++) look();
    await setImmediate();
  }
  expect(await ended).toEqual([0, null]);
  look();
  return seen;
}

/** The rotation that a read shows; undefined if it is not exactly one rotation of the writer. */
function wholeRotation(read: Record<string, string>, seed: string, allWanted: boolean): number | undefined {
  const rotation = Number(read.KEY_0?.slice(seed.length + 1).split('-')[0]);
  const keys = rotation % 10 === 0 ? KEYS - 1 : KEYS;
  const expected = Array.from({ length: allWanted ? keys : KEYS }, (_, index) => [
    `KEY_${index}`,
    index < keys ? `${seed}-${rotation}-${index}` : '!key-missing',
  ]);
  return isDeepStrictEqual(read, Object.fromEntries(expected)) ? rotation : undefined;
}

it.each([
  ['keys by name', only(...Array.from({ length: KEYS }, (_, key) => `KEY_${key}`))],
  ['all keys', ALL],
])('reads %s completely or not at all while another process rotates continuously', async (_, wanted) => {
  const seed = newSecret();
  const descriptors = openDescriptors();
  const seen = await race(wanted, seed);

  // The Secret is missing before the first write, and never again afterwards.
  const faults = seen.filter((read) => typeof read === 'string');
  const first = seen.findIndex((read) => typeof read !== 'string');
  expect(seen.slice(first).filter((read) => typeof read === 'string' && read !== '!unstable')).toEqual([]);
  expect(new Set(faults)).not.toContain('!unreadable');

  const rotations = seen
    .filter((read) => typeof read !== 'string')
    .map((read) => wholeRotation(read, seed, wanted.all) ?? 'a mixture');
  expect(rotations.filter((rotation) => rotation === 'a mixture')).toEqual([]);
  // Rotations appear in order, the last one is seen, and enough of the others to show that this was a race.
  expect(rotations).toEqual([...rotations].sort((a, b) => Number(a) - Number(b)));
  expect(rotations.at(-1)).toBe(ROTATIONS);
  expect(rotations.length).toBeGreaterThan(ROTATIONS / 20);
  expect(openDescriptors()).toEqual(descriptors);
});

it('refuses a file that grows while it is read, and never returns a part of it', async () => {
  const secret = new SecretVolume(directory);
  const name = secret.write({ log: 'x'.repeat(256 * 1024) });
  const file = join(directory, name, 'log');
  chmodSync(file, 0o644);
  // Appends until it is stopped, at most half a million bytes.
  const script = `const { appendFileSync } = require('node:fs');
    for (let count = 0; count < 5e5 && process.ppid === ${process.pid}; count++) appendFileSync(process.argv[1], 'y');`;
  const writer = spawn(process.execPath, ['-e', script, file], { stdio: 'ignore' });
  const ended = once(writer, 'exit');
  const wanted = only('log');
  let refused = 0;
  while (refused === 0 && writer.exitCode === null) {
    for (let count = 0; count < 50; count++) {
      const atLeast = statSync(file).size;
      const read = shown(readGeneration(directory, wanted));
      const log = typeof read === 'string' ? '' : (read.log ?? '');
      if (log === '!unreadable') refused += 1;
      else expect(log.length).toBeGreaterThanOrEqual(atLeast);
    }
    await setImmediate();
  }
  writer.kill();
  await ended;
  expect(refused).toBeGreaterThan(0);
});
