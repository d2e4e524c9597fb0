import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  isReadOnlyMount,
  isSubPathMount,
  type Mount,
  parseMountinfo,
  readMounts,
} from '../../src/domain/mountinfo.ts';

describe('parseMountinfo', () => {
  it('reads the mounts of this process: one for each line of the file, including the root', () => {
    const text = readFileSync('/proc/self/mountinfo', 'utf8');
    const mounts = parseMountinfo(text);
    expect(mounts).toHaveLength(text.trimEnd().split('\n').length);
    expect(mounts.map(({ mountPoint }) => mountPoint)).toContain('/');
    expect(readMounts().map(({ mountPoint }) => mountPoint)).toContain('/proc');
    expect(mounts.find(({ mountPoint }) => mountPoint === '/proc')).toMatchObject({
      root: '/',
      type: 'proc',
    });
  });

  it.each([
    ['no optional field', '36 35 98:0 /a /b ro,noatime - tmpfs tmpfs rw,size=4k'],
    ['one optional field', '36 35 98:0 /a /b ro,noatime shared:7 - tmpfs tmpfs rw,size=4k'],
    ['several', '36 35 98:0 /a /b ro,noatime shared:7 master:1 unbindable - tmpfs tmpfs rw,size=4k'],
  ])('reads a line with %s', (_, line) => {
    expect(parseMountinfo(line)).toEqual([
      {
        id: 36,
        device: '98:0',
        root: '/a',
        mountPoint: '/b',
        options: ['ro', 'noatime'],
        type: 'tmpfs',
        superOptions: ['rw', 'size=4k'],
      },
    ]);
  });

  it('unescapes space, tab, line break and backslash exactly once', () => {
    expect(parseMountinfo('36 35 98:0 /r\\040\\134040 /p\\011\\012\\134 rw - tmpfs tmpfs rw')).toMatchObject([
      { root: '/r \\040', mountPoint: '/p\t\n\\' },
    ]);
  });

  it.each(['', '36 35', '36 35 98:0 /a /b rw', '36 35 98:0 /a - tmpfs tmpfs rw', ' - '])(
    'skips %j, which is not a mount',
    (line) => {
      expect(parseMountinfo(`${line}\n36 35 98:0 / /good rw - tmpfs\n`)).toEqual([
        {
          id: 36,
          device: '98:0',
          root: '/',
          mountPoint: '/good',
          options: ['rw'],
          type: 'tmpfs',
          superOptions: [''],
        },
      ]);
    },
  );
});

describe('isReadOnlyMount', () => {
  const mounted = (options: string, superOptions: string) =>
    parseMountinfo(`36 35 98:0 / /a ${options} - tmpfs tmpfs ${superOptions}`)[0];
  it.each([
    ['ro', 'rw', true],
    ['rw', 'ro', true],
    ['rw,nosuid', 'rw,size=4k', false],
    ['noatime,ro', 'rw', true],
    ['rw', 'rw,errors=remount-ro', false],
  ])('of %s over a file system with %s says %s', (options, superOptions, expected) => {
    const mount = mounted(options, superOptions);
    expect(mount && isReadOnlyMount(mount)).toBe(expected);
  });
});

describe('isSubPathMount', () => {
  const mount = (mountPoint: string, root = '/', type = 'tmpfs'): Mount => ({
    id: 36,
    device: '98:0',
    root,
    mountPoint,
    options: ['ro'],
    type,
    superOptions: ['rw'],
  });
  it.each<[string, Mount[], boolean]>([
    ['no mount at all', [], false],
    ['the whole volume', [mount('/secrets/a/b')], false],
    ['a key of it', [mount('/secrets/a/b/token', '/..2026_01_01_00_00_00.1/token')], true],
    [
      'a subdirectory of a generation in its place',
      [mount('/secrets/a/b', '/..2026_01_01_00_00_00.1/db')],
      true,
    ],
    ['another mount whose path has the same prefix', [mount('/secrets/a/bc/token', '/..2026/token')], false],
    ['the parent directory', [mount('/secrets/a')], false],
  ])('recognises %s', (_, mounts, expected) => {
    expect(isSubPathMount('/secrets/a/b', mounts)).toBe(expected);
  });
});
