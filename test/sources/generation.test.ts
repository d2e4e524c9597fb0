import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_FILE_BYTES, MAX_FILES, MAX_GENERATION_BYTES } from '../../src/sources/folder.ts';
import { readGeneration } from '../../src/sources/kubelet-secret/generation.ts';
import { eraseGeneration, type KeyFault, sameContent } from '../../src/sources/source.ts';
import { openDescriptors } from '../support/descriptors.ts';
import type { SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { ALL, only, shown } from './volume-reads.ts';

let workspace: Workspace;
let volume: SecretVolume;
let descriptors: string[];
const read = (wanted = ALL) => readGeneration(volume.directory, wanted);

beforeEach(() => {
  workspace = new Workspace();
  volume = workspace.secret('credentials');
  descriptors = openDescriptors();
});
afterEach(() => {
  // No test may leave a descriptor open.
  expect(openDescriptors()).toEqual(descriptors);
  workspace[Symbol.dispose]();
});

describe('a whole generation', () => {
  it('has exactly the requested keys', () => {
    const [token, other] = [newSecret(), newSecret()];
    const name = volume.write({ token, other });
    expect(shown(read(only('token', 'absent')))).toEqual({ token, absent: '!key-missing' });
    expect(read(only('token'))).toMatchObject({ generation: { id: name } });
  });

  it('has every key if all are wanted, and marks a missing requested one', () => {
    const [token, other] = [newSecret(), newSecret()];
    volume.write({ token, other });
    expect(shown(read({ keys: new Set(['absent']), all: true }))).toEqual({
      token,
      other,
      absent: '!key-missing',
    });
  });

  it('is empty if the Secret is empty', () => {
    volume.write({});
    expect(shown(read())).toEqual({});
  });

  it('keeps the bytes unchanged: empty, binary, line breaks', () => {
    const binary = Buffer.from([0, 255, 13, 10, 128]);
    volume.write({ empty: '', binary, line: 'x\r\n' });
    expect(shown(read())).toEqual({ empty: '', binary: binary.toString('latin1'), line: 'x\r\n' });
  });

  it('reads `items` in subdirectories, and does not treat a subdirectory as a file', () => {
    const password = newSecret();
    volume.write({ 'db/replica/password': password });
    expect(shown(read(only('db/replica/password', 'db/replica/absent', 'db/absent/password')))).toEqual({
      'db/replica/password': password,
      'db/replica/absent': '!key-missing',
      'db/absent/password': '!key-missing',
    });
    expect(shown(read())).toEqual({ db: '!not-a-file' });
  });

  it('accepts keys with names of Object.prototype, very long names, and names with a line break', () => {
    const names = ['__proto__', 'constructor', 'toString', 'x'.repeat(253), 'line\nbreak', ' ', 'ключ'];
    const data = Object.fromEntries(names.map((name) => [name, newSecret()]));
    volume.write({}, 0o444, (directory) => {
      for (const name of names)
        writeFileSync(
          join(directory, name),
          String(Object.entries(data).find(([key]) => key === name)?.[1] ?? ''),
        );
    });
    const found = read();
    expect(found.kind === 'generation' && [...found.generation.keys.keys()].sort()).toEqual(
      [...names].sort(),
    );
  });

  it('ignores the visible links: a stale one adds no key, a late one hides none', () => {
    const token = newSecret();
    volume.write({ token });
    unlinkSync(join(volume.directory, 'token'));
    symlinkSync('..data/stale', join(volume.directory, 'stale'));
    writeFileSync(join(volume.directory, 'beside'), newSecret());
    expect(shown(read())).toEqual({ token });
  });
});

describe('a key that cannot be read', () => {
  /** Creates `odd` in the generation; the other key must still be served. */
  function arrange(plant: (path: string) => void, key = 'odd'): Record<string, string> | string {
    volume.write({ token: 'beside' }, 0o444, (directory) => plant(join(directory, 'odd')));
    return shown(read(only('token', key)));
  }
  const faulty = (fault: KeyFault, key = 'odd') => ({ token: 'beside', [key]: `!${fault}` });

  it('is missing', () => {
    expect(arrange(() => {})).toEqual(faulty('key-missing'));
  });
  it('is a folder', () => {
    expect(arrange((path) => mkdirSync(path))).toEqual(faulty('not-a-file'));
  });
  it('is below a file', () => {
    expect(arrange((path) => writeFileSync(path, ''), 'odd/password')).toEqual(
      faulty('not-a-file', 'odd/password'),
    );
  });
  it('is a FIFO, which does not stop the process', () => {
    expect(arrange((path) => execFileSync('mkfifo', [path]))).toEqual(faulty('not-a-file'));
  });
  it('is a socket', async () => {
    const server = createServer();
    const path = join(workspace.root, 's');
    await new Promise<void>((done) => server.listen(path, done));
    try {
      expect(arrange((place) => renameSync(path, place))).toEqual(faulty('not-a-file'));
    } finally {
      await new Promise((done) => server.close(done));
    }
  });
  it('is a symlink, even within the generation', () => {
    expect(arrange((path) => symlinkSync('token', path))).toEqual(faulty('symlink'));
  });
  it('is a symlink to itself', () => {
    expect(arrange((path) => symlinkSync('odd', path))).toEqual(faulty('symlink'));
  });
  it.each(['', '.', '..', '../token', './token', 'a/../token', '/token', 'token/'])(
    'is requested as %j, which is not a path in a generation',
    (key) => {
      volume.write({ token: newSecret(), 'a/b': newSecret() });
      expect(shown(read(only(key)))).toEqual({
        [key]: expect.stringMatching(/^!(symlink|key-missing|not-a-file)$/),
      });
    },
  );
  it('has a name that is impossible for a file', () => {
    volume.write({ token: 'beside' });
    const long = 'x'.repeat(256);
    expect(shown(read(only('token', long, 'nul\0')))).toEqual({
      token: 'beside',
      [long]: '!key-missing',
      'nul\0': '!key-missing',
    });
  });
  it('is one byte above the limit, while one at the limit is read', () => {
    const plant = (bytes: number) => (path: string) => {
      writeFileSync(path, '');
      truncateSync(path, bytes);
    };
    expect(arrange(plant(MAX_FILE_BYTES + 1))).toEqual(faulty('too-large'));
    expect(arrange(plant(MAX_FILE_BYTES))).toEqual({ token: 'beside', odd: '\0'.repeat(MAX_FILE_BYTES) });
  });
  it('is a sparse file of a terabyte', () => {
    expect(
      arrange((path) => {
        writeFileSync(path, '');
        truncateSync(path, 1024 ** 4);
      }),
    ).toEqual(faulty('too-large'));
  });
});

describe('a volume that has no generation', () => {
  const replaceData = (make: (data: string) => void) => {
    const data = join(volume.directory, '..data');
    rmSync(data, { force: true });
    make(data);
  };
  const generationName = () => readdirSync(volume.directory).find((name) => name.startsWith('..2')) ?? '';
  beforeEach(() => volume.write({ token: newSecret() }));

  it('does not exist', () => {
    rmSync(volume.directory, { recursive: true });
    expect(read()).toEqual({ kind: 'fault', fault: 'secret-missing', code: 'ENOENT' });
  });
  it('is an empty folder', () => {
    volume.vanish();
    expect(read()).toEqual({ kind: 'fault', fault: 'secret-missing', code: 'ENOENT' });
  });
  it('has files without ..data', () => {
    replaceData(() => {});
    expect(shown(read())).toBe('!not-kubelet-layout');
  });
  it('is a symlink to a good volume', () => {
    renameSync(volume.directory, `${volume.directory}-moved`);
    symlinkSync(`${volume.directory}-moved`, volume.directory);
    expect(shown(read())).toBe('!leads-out-of-volume');
  });
  it('is a file', () => {
    rmSync(volume.directory, { recursive: true });
    writeFileSync(volume.directory, newSecret());
    expect(shown(read())).toBe('!leads-out-of-volume');
  });
  it('is below a file', () => {
    expect(shown(readGeneration(join(volume.directory, generationName(), 'token', 'x'), ALL))).toBe(
      '!leads-out-of-volume',
    );
  });
  it('is behind a loop of symlinks', () => {
    symlinkSync('loop', join(workspace.root, 'loop'));
    expect(shown(readGeneration(join(workspace.root, 'loop', 'x'), ALL))).toBe('!leads-out-of-volume');
  });
  it('has a ..data that is a file', () => {
    replaceData((data) => writeFileSync(data, generationName()));
    expect(shown(read())).toBe('!leads-out-of-volume');
  });
  it('has a ..data that is a folder', () => {
    replaceData((data) => {
      mkdirSync(data);
      writeFileSync(join(data, 'token'), newSecret());
    });
    expect(shown(read())).toBe('!leads-out-of-volume');
  });
  it('has a ..data that points to a symlink', () => {
    replaceData((data) => {
      symlinkSync(generationName(), join(volume.directory, '..link'));
      symlinkSync('..link', data);
    });
    expect(shown(read())).toBe('!leads-out-of-volume');
  });
  it('has a ..data that points to itself', () => {
    replaceData((data) => symlinkSync('..data', data));
    expect(shown(read())).toBe('!leads-out-of-volume');
  });
  it('has a ..data that points to a file', () => {
    replaceData((data) => {
      writeFileSync(join(volume.directory, '..file'), newSecret());
      symlinkSync('..file', data);
    });
    expect(shown(read())).toBe('!leads-out-of-volume');
  });
  it.each([
    ['a path of two names', (name: string) => `${name}/..`],
    ['a relative path', (name: string) => `./${name}`],
    ['the folder above', () => '..'],
    ['the volume itself', () => '.'],
    ['an absolute path', (name: string) => join(volume.directory, name)],
  ])('has a ..data that is %s', (_, target) => {
    replaceData((data) => symlinkSync(target(generationName()), data));
    expect(shown(read())).toBe('!leads-out-of-volume');
  });
  it('has a ..data that dangles at every attempt', () => {
    replaceData((data) => symlinkSync('..2026_01_01_00_00_00.gone', data));
    expect(read()).toEqual({ kind: 'fault', fault: 'unstable', code: 'EAGAIN' });
  });
  it('has a path that is impossible for a directory', () => {
    expect(shown(readGeneration(`${volume.directory}/${'x'.repeat(300)}`, ALL))).toBe('!unreadable');
    expect(shown(readGeneration(`${volume.directory}\0`, ALL))).toBe('!unreadable');
  });
});

describe('limits of a volume', () => {
  it('allows MAX_FILES files', () => {
    volume.write({}, 0o444, (directory) => {
      for (let index = 0; index < MAX_FILES; index++) writeFileSync(join(directory, `k${index}`), '');
    });
    const full = read();
    expect(full.kind === 'generation' && full.generation.keys.size).toBe(MAX_FILES);
    expect(shown(read({ keys: new Set(['one-more']), all: true }))).toBe('!too-many-files');
    expect(shown(read(only('one-more')))).toEqual({ 'one-more': '!key-missing' });
    // A listing that was cut off says nothing about which keys a filter would have taken.
    volume.write({}, 0o444, (directory) => {
      for (let index = 0; index <= MAX_FILES; index++) writeFileSync(join(directory, `k${index}`), '');
    });
    expect(shown(read({ ...ALL, takes: () => false }))).toBe('!too-many-files');
  });

  it('allows MAX_GENERATION_BYTES bytes', () => {
    const files = MAX_GENERATION_BYTES / MAX_FILE_BYTES;
    const write = (count: number) =>
      volume.write({}, 0o444, (directory) => {
        for (let index = 0; index < count; index++) {
          writeFileSync(join(directory, `k${index}`), '');
          truncateSync(join(directory, `k${index}`), MAX_FILE_BYTES);
        }
      });
    write(files);
    expect(read().kind).toBe('generation');
    write(files + 1);
    expect(shown(read())).toBe('!volume-too-large');
  });
});

describe('sameContent and eraseGeneration', () => {
  const reread = (data: Record<string, string>, wanted = ALL) => {
    volume.write(data);
    return read(wanted);
  };

  it('compares keys, bytes and faults, but not the name of the generation', () => {
    const secret = newSecret();
    const first = reread({ token: secret });
    expect(sameContent(first, reread({ token: secret }))).toBe(true);
    expect(sameContent(first, reread({ token: newSecret() }))).toBe(false);
    expect(sameContent(first, reread({ token: secret, more: '' }))).toBe(false);
    expect(sameContent(first, reread({ renamed: secret }))).toBe(false);
    const wanted = only('token');
    const there = reread({ token: secret }, wanted);
    const missing = reread({}, wanted);
    expect(sameContent(there, missing)).toBe(false);
    expect(sameContent(missing, there)).toBe(false);
    expect(sameContent(missing, reread({ other: '' }, wanted))).toBe(true);
    volume.write({}, 0o444, (directory) => mkdirSync(join(directory, 'token')));
    expect(sameContent(missing, read(wanted))).toBe(false);
  });

  it('compares faults of the volume by their kind', () => {
    const generation = reread({ token: newSecret() });
    const fault = (name: 'secret-missing' | 'unstable', code: string) =>
      ({ kind: 'fault', fault: name, code }) as const;
    expect(sameContent(fault('secret-missing', 'A'), fault('secret-missing', 'B'))).toBe(true);
    expect(sameContent(fault('secret-missing', 'A'), fault('unstable', 'A'))).toBe(false);
    expect(sameContent(generation, fault('unstable', 'A'))).toBe(false);
    expect(sameContent(fault('unstable', 'A'), generation)).toBe(false);
  });

  it('overwrites the bytes of every key, and accepts keys without bytes', () => {
    const generation = reread({ token: newSecret() }, only('token', 'absent'));
    if (generation.kind !== 'generation') throw new Error('no generation');
    const token = generation.generation.keys.get('token');
    if (token?.kind !== 'bytes') throw new Error('no token');
    const bytes = token.value.reveal();
    eraseGeneration(generation.generation);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(() => token.value.reveal()).toThrow('erased');
  });
});
