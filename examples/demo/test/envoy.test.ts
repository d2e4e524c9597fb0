/** `npm run start:envoy`, as a newcomer runs it. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithEnvoy, installEnvoy } from '../../../test/interop/envoy-program.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'demo-envoy-'));
  chmodSync(folder, 0o755);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const start = (ENVOY: string) =>
  execa(process.execPath, [join(import.meta.dirname, '../envoy.ts')], {
    env: { ENVOY, TMPDIR: folder },
    reject: false,
  });

/** Command lines of processes that the demo started: each names a file of its folder. */
const processes = () =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .filter((line) => line.includes(folder));

describeWithEnvoy('npm run start:envoy', () => {
  it('keeps every promise, and leaves nothing behind', async () => {
    const { stdout, exitCode } = await start(await installEnvoy('1.40.0'));
    expect(stdout).toMatch(/^All \d+ promises were kept/m);
    expect(stdout).toContain('Envoy 1.40.0');
    expect({ exitCode, left: readdirSync(folder), running: processes() }).toEqual({
      exitCode: 0,
      left: [],
      running: [],
    });
  });

  it('leaves nothing behind where Envoy fails', async () => {
    const program = join(folder, 'failing-envoy');
    writeFileSync(
      program,
      '#!/bin/sh\n[ "$1" = --version ] && echo "envoy  version: 0/1.40.0/Clean/RELEASE" || exit 1\n',
      { mode: 0o755 },
    );
    const { stdout, exitCode } = await start(program);
    expect(stdout).toContain('the demo could not go on: Envoy did not start');
    expect({ exitCode, left: readdirSync(folder), running: processes() }).toEqual({
      exitCode: 1,
      left: ['failing-envoy'],
      running: [],
    });
  });

  it.each([
    [
      'no Envoy',
      '/nonexistent',
      /^secret-resolver: ENVOY=\/nonexistent is not a program: run `pip install [^\n]*$/,
    ],
    ['an old one', 'old', /^secret-resolver: \S+ is Envoy 1\.36\.2, and 1\.40 or newer is needed[^\n]*$/],
  ])('says in one sentence what to install with %s', async (_, path, sentence) => {
    const { stderr, exitCode } = await start(path === 'old' ? await installEnvoy('1.36.2') : path);
    expect(stderr).toMatch(sentence);
    expect({ exitCode, left: readdirSync(folder) }).toEqual({ exitCode: 2, left: [] });
  });
});
