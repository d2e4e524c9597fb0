/** The watch of the configuration's files, in this process; test/daemon/config-watch has the reload that it makes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ConfigFiles } from '../../src/config/files.ts';
import { ConfigWatch } from '../../src/sources/config-watch.ts';
import { until } from '../support/cli.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'msr-config-watch-'));
});
afterEach(() => rmSync(root, { recursive: true }));

/** A folder with a file in it. */
function folder(name: string): string {
  mkdirSync(join(root, name));
  return write(name, 'first');
}

function write(name: string, text: string): string {
  const file = join(root, name, 'config.yaml');
  writeFileSync(file, text);
  return file;
}

function read(file: string): ConfigFiles {
  const files = new ConfigFiles();
  files.readText(file);
  return files;
}

it('watches another folder at once, also where a reload takes its time', async () => {
  const first = folder('first');
  const second = folder('second');
  let files = read(first);
  let reloads = 0;
  await using _watch = new ConfigWatch({
    files: () => files,
    reload: async () => {
      await sleep(20);
      reloads += 1;
      files = read(second);
    },
    log: { warn: () => {} },
  });
  const untilReload = (count: number, name: string) =>
    until(async () => {
      write(name, `${performance.now()}`);
      await sleep(100);
      return reloads >= count;
    }, 3_000);
  await untilReload(1, 'first');
  // Without a watch there, the comparison after ten seconds would find it.
  await untilReload(reloads + 1, 'second');
});

it('reloads once for events in a row, not for the same content, and follows to another folder', async () => {
  const [first, second] = [folder('first'), folder('second')];
  let current = first;
  let files = read(first);
  let reloads = 0;
  const warnings: string[] = [];
  await using watch = new ConfigWatch({
    files: () => files,
    reload: () => {
      reloads += 1;
      files = read(current);
    },
    log: { warn: (_facts, message) => warnings.push(message) },
  });
  // Until the watch stands, an event may be lost; then one write is one reload.
  await until(async () => {
    write('first', `${performance.now()}`);
    await sleep(100);
    return reloads > 0;
  }, 20_000);
  await sleep(300);
  const before = reloads;
  for (const text of ['a', 'ab', 'abc']) write('first', text);
  await until(() => reloads > before);
  write('first', 'abc');
  await sleep(300);
  expect(reloads).toBe(before + 1);

  current = second;
  write('first', 'the configuration names another folder now');
  await until(() => reloads === before + 2);
  await until(async () => {
    write('second', `${performance.now()}`);
    await sleep(100);
    return reloads > before + 2;
  }, 20_000);
  await sleep(300);
  const after = reloads;
  write('first', 'nobody reads this any more');
  await sleep(300);
  expect(reloads).toBe(after);
  expect(warnings).toEqual([]);
  await watch[Symbol.asyncDispose]();
  write('second', 'nor this');
  await sleep(300);
  expect(reloads).toBe(after);
});

it('watches nothing any more after its end, also where a reload ends later', async () => {
  const file = folder('first');
  let files = read(file);
  const reload = Promise.withResolvers<void>();
  let reloads = 0;
  const watch = new ConfigWatch({
    files: () => files,
    reload: async () => {
      reloads += 1;
      await reload.promise;
      files = read(folder('second'));
    },
    log: { warn: () => {} },
  });
  await until(async () => {
    write('first', `${performance.now()}`);
    await sleep(100);
    return reloads > 0;
  }, 3_000);
  await watch[Symbol.asyncDispose]();
  reload.resolve();
  await sleep(300);
  expect(process.getActiveResourcesInfo().filter((name) => name.startsWith('FSEvent'))).toEqual([]);
  expect(reloads).toBe(1);
});
