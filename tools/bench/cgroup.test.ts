import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { describeAsRoot } from '../../test/support/root.ts';
import { Cgroup, placeFor } from './cgroup.ts';

it('makes a cgroup below its own in version 1, and beside it in version 2', () => {
  expect(placeFor('5:cpuset:/\n4:memory:/a/b\n0::/c/d\n')).toEqual({
    version: 1,
    folder: '/sys/fs/cgroup/memory/a/b',
  });
  expect(placeFor('4:cpu,memory:/\n')).toEqual({ version: 1, folder: '/sys/fs/cgroup/memory' });
  expect(placeFor('0::/user.slice/session-3.scope\n').folder).toBe('/sys/fs/cgroup/user.slice');
  expect(placeFor('0::/\n')).toEqual({ version: 2, folder: '/sys/fs/cgroup' });
});

describeAsRoot('a cgroup', () => {
  it('holds the process alone, and bills it what it takes', async () => {
    let file = '';
    {
      await using cgroup = new Cgroup();
      const [sh, ...args] = cgroup.command(process.execPath, '-e', TAKES_32_MIB);
      file = args[2] ?? '';
      expect(execFileSync(sh, args, { encoding: 'utf8' })).toMatch(/secret-resolver-bench-/);
      expect(cgroup.peak).toBeGreaterThan(32);
      expect(cgroup.current).toBeLessThan(cgroup.peak - 32);
    }
    expect(existsSync(file)).toBe(false);
  });
});

const TAKES_32_MIB = `
  const taken = Buffer.alloc(32 * 2 ** 20, 1);
  process.stdout.write(require('node:fs').readFileSync('/proc/self/cgroup'));
  process.exitCode = taken[taken.length - 1] - 1;
`;
