import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readGeneration, type Wanted } from '../../src/volume/generation.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { newSecret } from '../support/secrets.ts';
import { ALL, only, shown } from './volume-reads.ts';

const ROTATIONS = 1_000;
const KEYS = 12;

/** A folder in memory, as kubelet's are, where the machine has one that we may write: a disk slows the race down. */
function folderInMemory(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return mkdtempSync('/dev/shm/msr-');
  } catch {
    return mkdtempSync(join(tmpdir(), 'msr-'));
  }
}

let directory: string;
beforeEach(() => {
  directory = folderInMemory();
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Reads without pause while another process rotates without pause. Gives what was read, each different read once, in order. */
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
    [join(import.meta.dirname, 'rotator.ts'), directory, `${ROTATIONS}`, `${KEYS}`, seed],
    { stdio: ['ignore', 'inherit', 'inherit'] },
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

/** The rotation that a read shows, if it is one that the writer wrote and nothing else; undefined otherwise. */
function wholeRotation(read: Record<string, string>, seed: string, allWanted: boolean): number | undefined {
  const values = Object.values(read).filter((value) => value !== '!key-missing');
  const [first = ''] = values;
  const rotation = Number(first.slice(seed.length + 1));
  const keys = rotation % 3 === 0 ? KEYS - 1 : KEYS;
  const missing = Object.values(read).length - values.length;
  const whole =
    values.every((value) => value === `${seed}.${rotation}`) &&
    values.length === keys &&
    missing === (allWanted ? 0 : KEYS - keys);
  return whole ? rotation : undefined;
}

it.each([
  ['keys by name', only(...Array.from({ length: KEYS }, (_, key) => `key-${key}`))],
  ['all keys', ALL],
])('reads %s whole or not at all while another process rotates without pause', async (_, wanted) => {
  const seed = newSecret();
  const descriptors = openDescriptors();
  const seen = await race(wanted, seed);

  // Before the first write there is nothing, and then there always is something: never "missing" again.
  const faults = seen.filter((read) => typeof read === 'string');
  const first = seen.findIndex((read) => typeof read !== 'string');
  expect(seen.slice(first).filter((read) => typeof read === 'string' && read !== '!unstable')).toEqual([]);
  expect(new Set(faults)).not.toContain('!unreadable');

  const rotations = seen
    .filter((read) => typeof read !== 'string')
    .map((read) => wholeRotation(read, seed, wanted.all) ?? 'a mixture');
  expect(rotations.filter((rotation) => rotation === 'a mixture')).toEqual([]);
  // Time goes forward only, the last one is seen, and enough of those between were that this was a race.
  expect(rotations).toEqual([...rotations].sort((a, b) => Number(a) - Number(b)));
  expect(rotations.at(-1)).toBe(ROTATIONS);
  expect(rotations.length).toBeGreaterThan(ROTATIONS / 20);
  expect(openDescriptors()).toEqual(descriptors);
});
