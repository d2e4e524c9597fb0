/** A run of vitest with a test that fails and one that never ends leaves no process and no folder. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { NODE } from './checkout.ts';

const FAILING = `
import { expect, test } from 'vitest';
import { startServe } from '${join(import.meta.dirname, 'cli.ts')}';
import { Workspace } from '${join(import.meta.dirname, 'workspace.ts')}';

test('fails', async () => {
  using workspace = new Workspace();
  await using _ = await startServe(workspace.configFile);
  expect('started').toBe('failed');
});
test('never ends', async () => {
  using workspace = new Workspace();
  await using _ = await startServe(workspace.configFile);
  console.log('up');
  await new Promise(() => {});
}, 10_000);
`;

it('a failing run leaves no process and no folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'left-'));
  try {
    writeFileSync(join(folder, 'failing.test.ts'), FAILING);
    const vitest = join(import.meta.dirname, '../../node_modules/vitest/vitest.mjs');
    const { exitCode, all } = await execa(NODE, [vitest, 'run', '--root', folder, '--pool', 'forks'], {
      all: true,
      reject: false,
      env: { TMPDIR: folder, TEST_RUN_DIRECTORY: join(folder, 'run') },
    });
    expect({ exitCode, all }).toMatchObject({ exitCode: 1, all: expect.stringContaining('2 failed') });
    expect(all).toContain('up');
    expect(readdirSync(folder).filter((name) => name.startsWith('msr-'))).toEqual([]);
    const left = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(folder));
    expect(left).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
