/** Wherever a link is planted, its target is neither returned nor even opened. */
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readGeneration } from '../../src/sources/kubelet-secret/generation.ts';
import { OpenWitness } from '../support/open-witness.ts';
import type { SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { ALL, only, shown } from './volume-reads.ts';

let workspace: Workspace;
let volume: SecretVolume;
/** A folder outside the volume that looks like a generation. */
let outside: string;
let secret: string;
let witness: OpenWitness;

beforeEach(() => {
  workspace = new Workspace();
  volume = workspace.secret('credentials');
  outside = join(workspace.root, 'outside');
  secret = newSecret('outside');
  mkdirSync(join(outside, 'db'), { recursive: true });
  for (const name of ['token', 'db/password']) writeFileSync(join(outside, name), secret);
  execFileSync('mkfifo', [join(outside, 'fifo')]);
  witness = new OpenWitness(outside, join(outside, 'db'), join(outside, 'token'), join(outside, 'fifo'));
});
afterEach(() => {
  witness[Symbol.dispose]();
  workspace[Symbol.dispose]();
});

it('uses a witness that does detect an open', () => {
  expect(witness.opens).toBe(0);
  readdirSync(outside);
  expect(witness.opens).toBeGreaterThan(0);
});

describe.each([
  ['by name', only('token', 'db/password', 'fifo')],
  ['as a whole', ALL],
])('a volume that is read %s', (_, wanted) => {
  const replaceData = (target: string) => {
    volume.write({ token: 'inside' });
    rmSync(join(volume.directory, '..data'));
    symlinkSync(target, join(volume.directory, '..data'));
  };
  const places: [string, () => void][] = [
    [
      'in place of the volume',
      () => {
        symlinkSync('.', join(outside, '..data'));
        rmSync(volume.directory, { recursive: true });
        symlinkSync(outside, volume.directory);
      },
    ],
    ['in ..data, absolute', () => replaceData(outside)],
    ['in ..data, relative', () => replaceData('../../../outside')],
    [
      'in ..data, by way of a name in the volume',
      () => {
        replaceData('..2026_01_01_00_00_00.planted');
        symlinkSync(outside, join(volume.directory, '..2026_01_01_00_00_00.planted'));
      },
    ],
    [
      'in place of a key',
      () =>
        volume.write({}, 0o444, (directory) => {
          symlinkSync(join(outside, 'token'), join(directory, 'token'));
          symlinkSync(join(outside, 'fifo'), join(directory, 'fifo'));
          symlinkSync('../../../../outside/token', join(directory, 'relative'));
        }),
    ],
    [
      'in place of a folder of a key',
      () => volume.write({}, 0o444, (directory) => symlinkSync(join(outside, 'db'), join(directory, 'db'))),
    ],
    [
      'in place of a key, by way of /proc',
      () =>
        volume.write({}, 0o444, (directory) =>
          symlinkSync(`/proc/self/root${outside}/token`, join(directory, 'token')),
        ),
    ],
    [
      'in the visible links',
      () => {
        volume.write({});
        symlinkSync(join(outside, 'token'), join(volume.directory, 'token'));
        symlinkSync(join(outside, 'db'), join(volume.directory, 'db'));
      },
    ],
  ];

  it.each(places)('does not follow a link %s', (_, plant) => {
    plant();
    const before = witness.opens;
    const read = readGeneration(volume.directory, wanted);
    expect(JSON.stringify(shown(read))).not.toContain(secret);
    expect(inspect(read, { depth: null })).not.toContain(secret);
    expect(witness.opens - before).toBe(0);
  });

  it('does not follow a link that replaces its directory between two reads', () => {
    volume.write({ token: 'inside' });
    expect(readGeneration(volume.directory, wanted).kind).toBe('generation');
    renameSync(volume.directory, `${volume.directory}-aside`);
    symlinkSync(outside, volume.directory);
    expect(shown(readGeneration(volume.directory, wanted))).toBe('!leads-out-of-volume');
    expect(witness.opens).toBe(0);
  });
});

it('does not leave the volume through a key with parent directories', () => {
  volume.write({ 'a/b': 'inside' });
  const keys = ['../../../outside/token', 'a/../../../../../outside/token', join(outside, 'token'), '..'];
  expect(JSON.stringify(shown(readGeneration(volume.directory, only(...keys))))).not.toContain(secret);
  expect(witness.opens).toBe(0);
});

it('reads a hard link like any file: creating one needs write access to the volume', () => {
  volume.write({}, 0o444, (directory) => linkSync(join(outside, 'token'), join(directory, 'token')));
  expect(shown(readGeneration(volume.directory, only('token')))).toEqual({ token: secret });
});
