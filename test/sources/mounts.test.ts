import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isSubPathMount, parseMountinfo } from '../../src/domain/mountinfo.ts';
import { describeAsRoot } from '../support/root.ts';

interface Told {
  readonly states: unknown[];
  readonly mountinfo: string;
  readonly target: string;
}

function scenario(name: string): Told {
  const folder = mkdtempSync(join(tmpdir(), 'msr-mounts-'));
  try {
    const script = join(import.meta.dirname, 'mount-scenarios.ts');
    const told = execFileSync(
      'unshare',
      ['--mount', '--propagation', 'private', process.execPath, script, name, folder],
      { encoding: 'utf8', timeout: 30_000 },
    );
    return JSON.parse(told) as Told;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describeAsRoot('real mounts', () => {
  it.each(['sub-path-file', 'sub-path-directory'])('detects a %s mount, which never rotates', (name) => {
    const { states, mountinfo, target } = scenario(name);
    expect(states).toEqual(['!mounted-by-sub-path']);
    // Parses the kernel's own text, including escaped spaces.
    expect(mountinfo).toContain('with\\040space');
    expect(isSubPathMount(target, parseMountinfo(mountinfo))).toBe(true);
    expect(isSubPathMount(`${target}-other`, parseMountinfo(mountinfo))).toBe(false);
  });

  it('detects it behind a symlink such as /var/run', () => {
    expect(scenario('sub-path-behind-a-link').states).toEqual(['!mounted-by-sub-path']);
  });

  it('accepts a read-only bind mount of the whole volume', () => {
    const { states, mountinfo, target } = scenario('whole');
    expect(states).toEqual([{ token: 'first' }, { token: 'second' }]);
    expect(isSubPathMount(target, parseMountinfo(mountinfo))).toBe(false);
    expect(parseMountinfo(mountinfo).find(({ mountPoint }) => mountPoint === target)).toMatchObject({
      root: '/',
      type: 'tmpfs',
      options: expect.arrayContaining(['ro']),
      superOptions: expect.arrayContaining(['rw', 'size=1024k']),
    });
  });

  it('notices a mount over the volume, which causes no event, its removal, and rotations of both', () => {
    expect(scenario('mounted-over').states).toEqual(
      ['first', 'second', 'third', 'first', 'fourth'].map((token) => ({ token })),
    );
  });
});
