import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Wanted } from '../../src/sources/source.ts';
import { Volume, type VolumeState } from '../../src/sources/volume.ts';
import { until } from '../support/cli.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { MemoryLog } from '../support/memory-log.ts';
import type { SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { ALL, only, shown } from './volume-reads.ts';

/** Re-read interval in milliseconds, too long to occur in a test. */
const NEVER = 3_600_000;
/** Milliseconds within which a rotation with an event must be published. */
const BY_EVENT_MS = 100;
/** Milliseconds in which nothing may be published. Longer than the batching of events. */
const QUIET_MS = 150;
const SECRET = { namespace: 'tenant', name: 'credentials' };

let workspace: Workspace;
let secret: SecretVolume;
let log: MemoryLog;
/** What was published, in order. The next state overwrites the values, so they are copied at once. */
let published: (Record<string, string> | string)[];
let states: VolumeState[];
let volumes: Volume[];

async function watching(
  rereadIntervalMs: number,
  wanted: Wanted = ALL,
  directory = secret.directory,
): Promise<Volume> {
  const volume = new Volume({
    secret: SECRET,
    directory,
    wanted,
    log: log.log,
    rereadIntervalMs,
    onChange: (state) => {
      states.push(state);
      published.push(shown(state.read));
    },
  });
  volumes.push(volume);
  await volume.start();
  return volume;
}

/** Runs an action and waits until `count` states have been published. Returns the milliseconds that this took. */
async function publishes(count: number, action: () => void): Promise<number> {
  const before = performance.now();
  action();
  await until(
    () => published.length >= count,
    5_000,
    () => `published: ${published.length}`,
  );
  return performance.now() - before;
}

/** Waits until this is the newest published state. */
async function publishedLast(expected: Record<string, string>): Promise<void> {
  await until(
    () => isDeepStrictEqual(published.at(-1), expected),
    5_000,
    () => `published last: ${JSON.stringify(published.at(-1))}`,
  );
}

beforeEach(() => {
  workspace = new Workspace();
  secret = workspace.secret('credentials');
  log = new MemoryLog();
  published = [];
  states = [];
  volumes = [];
});
afterEach(async () => {
  await Promise.all(volumes.map((volume) => volume[Symbol.asyncDispose]()));
  workspace[Symbol.dispose]();
});

it('reads nothing and leaves nothing open if it is closed before it starts', async () => {
  const before = openDescriptors().length;
  const volume = new Volume({
    secret: SECRET,
    directory: secret.directory,
    wanted: ALL,
    log: log.log,
    rereadIntervalMs: 1,
    onChange: (state) => states.push(state),
  });
  await volume[Symbol.asyncDispose]();
  await volume.start();
  await sleep(20);
  expect(states).toEqual([]);
  expect(volume.state).toBeUndefined();
  expect(openDescriptors().length).toBe(before);
});

describe('with events', () => {
  it('publishes the first read, and each rotation within 100 ms', async () => {
    secret.write({ token: 'first' });
    const volume = await watching(NEVER);
    expect(published).toEqual([{ token: 'first' }]);
    const lags: number[] = [];
    for (let rotation = 1; rotation <= 9; rotation++) {
      const name = { current: '' };
      lags.push(
        await publishes(rotation + 1, () => {
          name.current = secret.write({ token: `rotation ${rotation}` });
        }),
      );
      expect(published.at(-1)).toEqual({ token: `rotation ${rotation}` });
      expect(volume.state).toMatchObject({ rotations: rotation, read: { generation: { id: name.current } } });
    }
    // The median, because a machine that is busy with other tests may delay a few.
    expect(lags.sort((a, b) => a - b)[4]).toBeLessThan(BY_EVENT_MS);
  });

  it('sees a Secret appear, change its keys, become empty, vanish and reappear', async () => {
    await watching(NEVER);
    await publishes(2, () => secret.write({ a: '1' }));
    await publishes(3, () => secret.write({ a: '1', b: '2' }));
    await publishes(4, () => secret.write({ b: '2' }));
    await publishes(5, () => secret.write({}));
    await publishes(6, () => secret.vanish());
    await publishes(7, () => secret.write({ a: '3' }));
    expect(published).toEqual([
      '!secret-missing',
      { a: '1' },
      { a: '1', b: '2' },
      { b: '2' },
      {},
      '!secret-missing',
      { a: '3' },
    ]);
  });

  it('publishes the last of many rotations in a row, and nothing that was not written', async () => {
    secret.write({ token: '0', twin: '0' });
    await watching(NEVER);
    for (let rotation = 1; rotation <= 200; rotation++) {
      secret.write({ token: `${rotation}`, twin: `${rotation}` });
      if (rotation % 20 === 0) await sleep(1);
    }
    await until(() => isDeepStrictEqual(published.at(-1), { token: '200', twin: '200' }));
    for (const state of published) {
      if (typeof state === 'string') throw new Error(`published ${state}`);
      expect(state.token).toBe(state.twin);
    }
  });

  // chokidar may merge two changes of one entry within a few milliseconds. Only `..data` changes here, because anything
  // else that kubelet does around a swap would be another hint.
  it.each([0, 1, 2, 3, 5, 8, 12, 20, 30, 45])(
    'publishes the second of two swaps %i ms apart',
    async (gap) => {
      secret.write({ token: '0' });
      const swapTo = (token: string) => {
        symlinkSync(`..${token}`, join(secret.directory, '..data_tmp'));
        renameSync(join(secret.directory, '..data_tmp'), join(secret.directory, '..data'));
      };
      const tokens = Array.from({ length: 5 }, (_, pair) => [`${pair}-first`, `${pair}-second`] as const);
      for (const token of tokens.flat()) {
        mkdirSync(join(secret.directory, `..${token}`));
        writeFileSync(join(secret.directory, `..${token}`, 'token'), token);
      }
      await watching(NEVER);
      for (const [first, second] of tokens) {
        await sleep(QUIET_MS);
        swapTo(first);
        const end = performance.now() + gap;
        while (performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
        swapTo(second);
        await publishedLast({ token: second });
      }
    },
  );

  it('publishes nothing for the same content under a new name, but records the new name', async () => {
    const token = newSecret();
    secret.write({ token });
    const volume = await watching(NEVER, only('token', 'absent'));
    const before = volume.state;
    const name = secret.write({ token });
    await until(() => volume.state?.read.kind === 'generation' && volume.state.read.generation.id === name);
    expect(published).toHaveLength(1);
    expect(volume.state).toMatchObject({ rotations: 0, readAtMs: before?.readAtMs });
    // The current values are the first ones, and intact.
    if (volume.state?.read.kind !== 'generation') throw new Error('no generation');
    expect(shown(volume.state.read)).toEqual({ token, absent: '!key-missing' });
  });

  it('publishes nothing if no wanted key changes', async () => {
    secret.write({ token: 'x', other: '1' });
    await watching(30, only('token'));
    secret.write({ token: 'x', other: '2' });
    await sleep(QUIET_MS);
    expect(published).toEqual([{ token: 'x' }]);
    // One line for each published read: re-reads do not fill the log.
    expect(log.with('volume read')).toEqual([
      expect.objectContaining({ volume: 'tenant/credentials', generation: expect.stringMatching(/^\.\.2/) }),
    ]);
  });

  it('overwrites the values that a rotation replaced, after all subscribers were notified', async () => {
    secret.write({ token: newSecret() });
    await watching(NEVER);
    const first = states[0]?.read;
    if (first?.kind !== 'generation') throw new Error('no generation');
    const value = first.generation.keys.get('token');
    if (value?.kind !== 'bytes') throw new Error('no value');
    const bytes = value.value.reveal();
    await publishes(2, () => secret.write({ token: newSecret() }));
    await until(() => bytes.every((byte) => byte === 0));
  });

  it('soon re-reads a volume whose ..data had no generation', async () => {
    const name = secret.write({ token: 'x' });
    const aside = join(workspace.root, 'aside');
    renameSync(join(secret.directory, name), aside);
    await watching(NEVER);
    expect(published).toEqual(['!unstable']);
    renameSync(aside, join(secret.directory, name));
    await until(() => published.length === 2);
    expect(published[1]).toEqual({ token: 'x' });
  });
});

describe('without events, by the re-read', () => {
  const REREAD = 40;

  it('sees a Secret whose directory appears later', async () => {
    rmSync(secret.directory, { recursive: true });
    await watching(REREAD);
    await publishes(2, () => workspace.secret('credentials').write({ token: 'x' }));
    expect(published).toEqual(['!secret-missing', { token: 'x' }]);
  });

  it('sees a replaced directory, and gets events of the new one from then on', async () => {
    secret.write({ token: 'old' });
    const volume = await watching(REREAD);
    await publishes(2, () => {
      renameSync(secret.directory, `${secret.directory}-aside`);
      workspace.secret('credentials').write({ token: 'new' });
    });
    expect(published.at(-1)).toEqual({ token: 'new' });
    await sleep(QUIET_MS);
    expect(readdirSync(secret.directory)).toContain('..data');
    await publishes(3, () => workspace.secret('credentials').write({ token: 'newer' }));
    expect(volume.state).toMatchObject({ rotations: 2 });
  });

  it.each([
    [
      'a symlink to a good volume',
      () => {
        renameSync(secret.directory, `${secret.directory}-aside`);
        symlinkSync(`${secret.directory}-aside`, secret.directory);
      },
      '!leads-out-of-volume',
    ],
    [
      'a file',
      () => {
        rmSync(secret.directory, { recursive: true });
        writeFileSync(secret.directory, newSecret());
      },
      '!leads-out-of-volume',
    ],
    [
      'nothing, and the folder above it a file',
      () => {
        const above = join(secret.directory, '..');
        rmSync(above, { recursive: true });
        writeFileSync(above, newSecret());
      },
      '!leads-out-of-volume',
    ],
    [
      'nothing, and the folder above it a loop of symlinks',
      () => {
        const above = join(secret.directory, '..');
        rmSync(above, { recursive: true });
        symlinkSync(above, above);
      },
      '!leads-out-of-volume',
    ],
  ])('withdraws its values when the volume is replaced by %s, and recovers', async (_, replace, fault) => {
    secret.write({ token: 'x' });
    await watching(REREAD);
    await publishes(2, replace);
    expect(published.at(-1)).toBe(fault);
    const above = join(secret.directory, '..');
    rmSync(lstatSync(above).isDirectory() ? secret.directory : above, { recursive: true, force: true });
    workspace.secret('credentials').write({ token: 'y' });
    await until(() => isDeepStrictEqual(published.at(-1), { token: 'y' }));
  });
});

describe('lifecycle', () => {
  it('has no state before it starts, and publishes nothing after it is closed', async () => {
    secret.write({ token: newSecret() });
    const volume = new Volume({
      secret: SECRET,
      directory: secret.directory,
      wanted: ALL,
      log: log.log,
      onChange: (state) => states.push(state),
      rereadIntervalMs: 10,
    });
    expect(volume.state).toBeUndefined();
    await volume.start();
    const read = volume.state?.read;
    await volume[Symbol.asyncDispose]();
    await volume[Symbol.asyncDispose]();
    secret.write({ token: newSecret() });
    await sleep(QUIET_MS);
    expect(states).toHaveLength(1);
    const key = read?.kind === 'generation' ? read.generation.keys.get('token') : undefined;
    expect(() => key?.kind === 'bytes' && key.value.reveal()).toThrow('erased');
  });

  it('leaves no descriptor and no timer, whatever happened and whenever it is stopped', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;
    // libuv keeps the inotify descriptor that its first watch opens.
    await (await watching(NEVER))[Symbol.asyncDispose]();
    const [descriptors, timersBefore] = [openDescriptors(), timers()];
    for (let round = 0; round < 5; round++) {
      secret.write({ token: newSecret() });
      const settled = await watching(20);
      secret.write({ token: newSecret() });
      writeFileSync(join(secret.directory, 'hint'), '');
      renameSync(secret.directory, `${secret.directory}-${round}`);
      mkdirSync(secret.directory);
      await sleep(25);
      await settled[Symbol.asyncDispose]();

      // Stopped while it starts.
      const starting = new Volume({
        secret: SECRET,
        directory: secret.directory,
        wanted: ALL,
        log: log.log,
        onChange: () => {
          if (ended) throw new Error('published after the end');
        },
      });
      let ended = false;
      const started = starting.start();
      ended = true;
      await starting[Symbol.asyncDispose]();
      await started;
    }
    expect(openDescriptors()).toEqual(descriptors);
    expect(timers()).toBeLessThanOrEqual(timersBefore);
  });

  it('keeps one watch, however often the directory is replaced, and none after it is closed', async () => {
    const watches = () =>
      openDescriptors()
        .filter((line) => line.endsWith('inotify'))
        .flatMap((line) => inotifyWatches(line.split(' ')[0] ?? '')).length;
    const none = watches();
    secret.write({ token: '0' });
    const volume = await watching(1);
    await until(() => watches() === none + 1);
    for (let round = 1; round <= 60; round++) {
      renameSync(secret.directory, `${secret.directory}-${round}`);
      workspace.secret('credentials').write({ token: `${round}` });
      await sleep(2);
    }
    await until(() => isDeepStrictEqual(published.at(-1), { token: '60' }));
    await until(
      () => watches() === none + 1,
      5_000,
      () => `${watches()} watches, ${none} before`,
    );
    await volume[Symbol.asyncDispose]();
    expect(watches()).toBe(none);
  });
});

/** The kernel's list of the watches of an inotify descriptor. */
function inotifyWatches(fd: string): string[] {
  return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('inotify wd:'));
}
