/** Any content of a mounted Secret: names, bytes, sizes, links and special files, from the disk to the snapshot. */
import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { MAX_RESPONSE_BYTES, MAX_VALUE_BYTES } from '../../../src/domain/limits.ts';
import { ENVIRONMENT_NAME, UNSERVABLE_NAME } from '../../../src/domain/names.ts';
import { ProviderEnvironmentSchema } from '../../../src/gen/secretresolver/v1/resolver_pb.ts';
import { REMEDIES } from '../../../src/snapshot/refusal.ts';
import { type Resolution, resolve } from '../../../src/snapshot/resolve.ts';
import {
  type CredentialChange,
  changes,
  eraseSnapshot,
  sameResolution,
} from '../../../src/snapshot/snapshot.ts';
import { Views } from '../../../src/snapshot/views.ts';
import type { VolumeRead } from '../../../src/sources/index.ts';
import { readGeneration } from '../../../src/sources/kubelet-secret/generation.ts';
import { eraseGeneration, sameContent } from '../../../src/sources/source.ts';
import { wantedKeys } from '../../../src/sources/wanted.ts';
import { bulk, config, credential, provider, reads, SECRET } from '../../../test/snapshot/given.ts';
import { openDescriptors } from '../../../test/support/descriptors.ts';
import { folderInMemory } from '../../../test/support/memory-folder.ts';
import { Bytes } from '../bytes.ts';
import { Planted, SECRET_WORD } from '../planted.ts';
import { must, type Target } from '../target.ts';

const NOW = 1_800_000_000_000;
/** Entries of one generation, and bytes of the largest. */
const MAX_ENTRIES = 24;
const LARGEST = 1024 * 1024 + 2;
/** Inputs between two looks at the descriptors. */
const DESCRIPTORS_EVERY = 500;

const NAMES = [
  'text',
  'json',
  'pem',
  'jwt',
  'raw',
  'ending',
  'until',
  'sub/key',
  'BULK',
  'b.c',
  'PATH',
  'v7_X',
] as const;
const KINDS = [
  'file',
  'file',
  'file',
  'file',
  'folder',
  'fifo',
  'link',
  'outside',
  'hard link',
  'absent',
] as const;
const LAYOUTS = [
  'kubelet',
  'kubelet',
  'kubelet',
  'no data',
  'data is a folder',
  'data leads out',
  'data dangles',
  'volume is a link',
  'nothing',
] as const;
const MODES = [0o444, 0o400, 0o000, 0o666] as const;
const SIZES = [0, 1, 64, 8_192, MAX_VALUE_BYTES, MAX_VALUE_BYTES + 1, LARGEST] as const;

const explicit = (key: string, format: 'text' | 'json' | 'pem' | 'jwt', more: object = {}) =>
  credential({ key: key.toUpperCase(), reference: { ...SECRET, key }, format, ...more });
const CONFIG = config([
  provider({
    name: 'named',
    credentials: [
      explicit('text', 'text', { required: true }),
      explicit('json', 'json'),
      explicit('pem', 'pem'),
      explicit('jwt', 'jwt'),
      explicit('raw', 'text', { trim: 'none' }),
      explicit('ending', 'text', { expiresAt: { key: 'until' } }),
      credential({ key: 'DEEP', reference: { ...SECRET, key: 'sub/key' } }),
    ],
  }),
  provider({ name: 'bulk', from: [bulk({ rename: new Map([['b.c', 'B_C']]) })] }),
]);
const WANTED = wantedKeys({ ...CONFIG, parts: {} }, SECRET);

/** What a test may replace. */
export interface Subject {
  readonly read: typeof readGeneration;
  readonly resolve: typeof resolve;
  readonly changes: typeof changes;
}

const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (claims: object) => `${segment({ alg: 'none' })}.${segment(claims)}.c2ln`;
/** One entry of an input. */
const entry = (name: number, kind: number, content: string, size = 0) =>
  Buffer.concat([Buffer.from([name, kind, 0, size, content.length]), Buffer.from(content, 'latin1')]);
/** An entry with a name of its own. */
const named = (name: string, content: string) =>
  Buffer.concat([
    Buffer.from([200, 0, 0, 0, name.length]),
    Buffer.from(name),
    Buffer.from([content.length]),
    Buffer.from(content),
  ]);
const generation = (layout: number, ...entries: Buffer[]) =>
  Buffer.concat([Buffer.from([layout, entries.length]), ...entries]);

export const secretVolumes: Target<Subject> = {
  name: 'secret-volumes',
  covers: [
    'src/sources/folder.ts',
    'src/sources/kubelet-secret/generation.ts',
    'src/sources/wanted.ts',
    'src/snapshot/',
    'src/domain/time.ts',
    'src/snapshot/views.ts',
  ],
  maxBytes: 16 * 1024,
  maxCpuMs: 1_000,
  words: [
    ...[
      SECRET_WORD,
      `${SECRET_WORD}\n`,
      `{"a":"${SECRET_WORD}"}`,
      '[',
      '{"a":',
      '\ud800',
      '"',
      '\\u0000',
      'null',
      '1e400',
    ],
    ...[
      '-----BEGIN A-----\n',
      '-----END A-----\n',
      '-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n',
      '\n',
      '\r\n',
      '\0',
    ],
    ...[
      jwt({ exp: 1 }),
      jwt({ exp: 9e15 }),
      jwt({ exp: 'x' }),
      jwt({}),
      'eyJ',
      '.',
      '..',
      '2027-01-31T00:00:00Z',
      '2026-02-30T00:00:00Z',
    ],
    ...[
      '1800000000001',
      '1799999999999',
      '../',
      '/',
      '..data',
      '__proto__',
      'constructor',
      'LD_PRELOAD',
      'A',
      'x'.repeat(250),
    ],
    ...[
      Buffer.from([0xff]),
      Buffer.from([0xc3, 0x28]),
      Buffer.from([0xef, 0xbb, 0xbf]),
      Buffer.from([0xe2, 0x80, 0xa8]),
    ],
  ],
  seeds: [
    generation(
      0,
      entry(0, 0, 'plain\n'),
      entry(1, 0, '{"a":1}'),
      entry(8, 0, 'bulk'),
      entry(9, 0, 'renamed'),
    ),
    generation(0, entry(2, 0, '-----BEGIN A-----\nMA==\n-----END A-----\n'), entry(3, 0, jwt({ exp: 2e9 }))),
    generation(
      0,
      entry(5, 0, 'value'),
      entry(6, 0, '2030-01-01T00:00:00Z'),
      entry(7, 0, 'deep'),
      entry(4, 0, 'raw\n'),
    ),
    Buffer.concat([generation(0, entry(0, 0, 'one')), generation(0, entry(0, 0, 'two'), entry(8, 6, ''))]),
    ...LAYOUTS.map((_, layout) =>
      Buffer.concat([generation(layout, entry(0, 0, 'x')), generation(0, entry(0, 0, 'y'))]),
    ),
    ...SIZES.map((_, size) => generation(0, entry(0, 0, 'x', size), entry(8, 0, 'y', size))),
    Buffer.concat([generation(0), generation(0, named(SECRET_WORD, 'x'), named('NAMED', SECRET_WORD))]),
    generation(0, ...KINDS.map((_, kind) => entry(kind, kind, 'x'))),
  ],

  async open({ read = readGeneration, resolve: resolveAll = resolve, changes: changed = changes } = {}) {
    const root = folderInMemory();
    const outside = join(root, 'outside');
    const planted = new Planted();
    const views = new Views(CONFIG.sandbox, Buffer.alloc(32, 1));
    let runs = 0;
    let descriptors: number | undefined;
    const take = (bytes: Bytes, directory: string) => {
      const written = writeVolume(bytes, directory, outside, planted);
      const first = read(directory, WANTED);
      checkRead(first, written, planted);
      const again = read(directory, WANTED);
      must(sameContent(first, again), 'a volume that rests reads differently a second time');
      const resolution = resolveAll(CONFIG, reads(first), NOW);
      checkResolution(resolution, first, planted, views);
      must(
        sameResolution(resolution, resolveAll(CONFIG, reads(again), NOW)),
        'one content resolves to two things',
      );
      for (const each of [first, again]) if (each.kind === 'generation') eraseGeneration(each.generation);
      return resolution;
    };
    return {
      run: (input) => {
        const bytes = new Bytes(planted.into(input));
        const directory = join(root, 'volume');
        try {
          writeFileSync(outside, planted.secret);
          const before = take(bytes, directory);
          const after = take(bytes, directory);
          checkChanges(before, after, changed(before, after), planted);
          must(changed(after, after).length === 0, 'something changed by itself');
          eraseSnapshot(before);
          eraseSnapshot(after);
        } finally {
          rmSync(directory, { recursive: true, force: true });
        }
        runs += 1;
        if (runs % DESCRIPTORS_EVERY === 0) {
          descriptors ??= openDescriptors().length;
          must(openDescriptors().length <= descriptors + 4, 'descriptors stay open');
        }
      },
      [Symbol.asyncDispose]: async () => rmSync(root, { recursive: true, force: true }),
    };
  },
};

/** What changed is told by names, which may be any text, and by kinds and reasons, which may not. */
function checkChanges(
  before: Resolution,
  after: Resolution,
  found: readonly CredentialChange[],
  planted: Planted,
): void {
  const names = new Set(
    [before, after].flatMap(({ credentials, refusals }) =>
      [...credentials, ...refusals].map(
        ({ provider, key, reference }) => `${provider} ${key} ${reference.key}`,
      ),
    ),
  );
  for (const { kind, provider, key, reference, reason, ...more } of found) {
    planted.notIn(JSON.stringify({ kind, reason, ...more }), 'what changed');
    must(names.has(`${provider} ${key} ${reference.key}`), 'what changed is the name of nothing');
  }
}

/** What the files of the generation hold, by the path below it; none where the layout is broken. */
type Written = ReadonlyMap<string, Buffer> | 'broken';

/** Writes a generation as kubelet would, or in a way that it never does, in the place of the one before. */
function writeVolume(bytes: Bytes, directory: string, outside: string, planted: Planted): Written {
  const layout = bytes.pick(LAYOUTS);
  const count = Math.min(MAX_ENTRIES, bytes.number());
  rmSync(directory, { recursive: true, force: true });
  if (layout === 'nothing') return 'broken';
  const real = layout === 'volume is a link' ? `${directory}-real` : directory;
  rmSync(real, { recursive: true, force: true });
  const name = '..2027_01_31_00_00_00.1';
  const generation = join(real, name);
  mkdirSync(generation, { recursive: true });
  if (layout === 'volume is a link') symlinkSync(real, directory);
  const written = new Map<string, Buffer>();
  for (let left = count; left > 0; left--) writeEntry(bytes, generation, outside, written);
  const data = join(real, '..data');
  switch (layout) {
    case 'kubelet':
    case 'volume is a link':
      symlinkSync(name, data);
      break;
    case 'data is a folder':
      renameSync(generation, data);
      break;
    case 'data leads out':
      symlinkSync(join('..', 'volume', name), data);
      break;
    case 'data dangles':
      symlinkSync('..gone', data);
      break;
    case 'no data':
      writeFileSync(join(real, 'visible'), planted.secret);
  }
  return layout === 'kubelet' ? written : 'broken';
}

function writeEntry(bytes: Bytes, generation: string, outside: string, written: Map<string, Buffer>): void {
  const which = bytes.number();
  const kind = bytes.pick(KINDS);
  const mode = bytes.pick(MODES);
  const size = bytes.pick(SIZES);
  const name = which < 200 ? Buffer.from(NAMES[which % NAMES.length] ?? 'text') : bytes.some();
  const given = bytes.some();
  const content =
    size > given.byteLength ? Buffer.concat([given, Buffer.alloc(size - given.byteLength, 'x')]) : given;
  const path = Buffer.concat([Buffer.from(`${generation}/`), name]);
  const parts = name.toString('latin1').split('/');
  // Only what could be a key, or something below one; the rest would be written beside the volume.
  if (name.includes(0) || parts.some((part) => part === '' || part === '.' || part === '..')) return;
  try {
    if (parts.length > 1) mkdirSync(join(generation, parts.slice(0, -1).join('/')), { recursive: true });
    rmSync(path, { recursive: true, force: true });
    for (const key of written.keys())
      if (key === name.toString() || key.startsWith(`${name}/`)) written.delete(key);
    switch (kind) {
      case 'file':
        writeFileSync(path, content);
        chmodSync(path, mode);
        // A name that is not UTF-8 cannot be a key of a Secret, and is read as missing.
        if (Buffer.from(name.toString()).equals(name)) written.set(name.toString(), content);
        break;
      case 'hard link':
        linkSync(outside, path);
        break;
      case 'folder':
        mkdirSync(path);
        break;
      case 'link':
        symlinkSync(NAMES[(given[0] ?? 0) % NAMES.length] ?? 'text', path);
        break;
      case 'outside':
        symlinkSync(outside, path);
        break;
      case 'fifo':
        execFileSync('mkfifo', [path.toString()], { stdio: 'ignore' });
        break;
    }
  } catch {
    // A name that no file can have, or one below a file: there is nothing then.
  }
}

function checkRead(read: VolumeRead, written: Written, planted: Planted): void {
  if (read.kind === 'fault') {
    must(written === 'broken', 'a good volume was refused');
    planted.notIn(JSON.stringify(read), 'a fault');
    return;
  }
  must(written !== 'broken', 'a volume that kubelet did not write was read');
  for (const [key, found] of read.generation.keys) {
    if (found.kind === 'fault') {
      planted.notIn(JSON.stringify(found), 'a fault');
      const content = written.get(key);
      const large = found.fault === 'too-large' && content !== undefined && content.byteLength > 1024 * 1024;
      must(content === undefined || large || found.fault === 'unreadable', 'a key that is there was refused');
    } else {
      // A hard link to a file elsewhere is a file like any other: kubelet's volume is on a file system of its own.
      const content = written.get(key) ?? Buffer.from(planted.secret);
      must(found.value.reveal().equals(content), 'a key reads as something else than was written');
    }
  }
  for (const key of written.keys())
    if (!key.includes('/')) must(read.generation.keys.has(key), 'a key was overlooked');
}

const BYTE_ORDER_MARK = Buffer.from('\ufeff');

function checkResolution(resolution: Resolution, read: VolumeRead, planted: Planted, views: Views): void {
  const { credentials, refusals } = resolution;
  planted.notIn(JSON.stringify(refusals.map(({ reason, required }) => ({ reason, required }))), 'a refusal');
  for (const { reason } of refusals) must(REMEDIES[reason].length > 0, 'a refusal without a remedy');
  const names = credentials.map(({ key }) => key);
  must(new Set(names).size === names.length, 'one name is served twice');
  let size = 0;
  for (const { key, value, reference, expiresAtMs } of credentials) {
    must(ENVIRONMENT_NAME.test(key) && !UNSERVABLE_NAME.test(key), 'an illegal name is served');
    must(read.kind === 'generation', 'a credential without a generation');
    const raw = read.generation.keys.get(reference.key);
    must(raw?.kind === 'bytes', 'a credential of a key that was not read');
    const bytes = value.reveal();
    const content = raw.value.reveal();
    size += bytes.byteLength;
    must(bytes.byteLength > 0 && bytes.byteLength <= MAX_VALUE_BYTES, 'a value of a size that none may have');
    must(Buffer.from(bytes.toString('utf8')).equals(bytes), 'a value that is not UTF-8 is served');
    const starts = content.subarray(0, 3).equals(BYTE_ORDER_MARK)
      ? [content, content.subarray(3)]
      : [content];
    const whole = starts.flatMap((start) => [start, start.subarray(0, -1), start.subarray(0, -2)]);
    must(
      whole.some((each) => each.equals(bytes)),
      'a value is not what its key holds',
    );
    const manyLines = reference.key === 'json' || reference.key === 'pem';
    must(
      !bytes.includes(0) && (manyLines || !/[\r\n]/.test(bytes.toString('latin1'))),
      'a value breaks lines',
    );
    if (key === 'JSON') JSON.parse(bytes.toString());
    must(expiresAtMs === undefined || expiresAtMs > NOW, 'an ended credential is served');
    if (key === 'ENDING') must(expiresAtMs !== undefined, 'a credential lost its end');
  }
  must(size <= MAX_RESPONSE_BYTES, 'more is served than a response can hold');
  const { message, revision } = views.encode(new Set(), credentials, refusals);
  const { bytes } = message;
  const sent = fromBinary(ProviderEnvironmentSchema, bytes);
  must(revision !== 0n && sent.providerEnvRevision === revision, 'the revision is not the one that is sent');
  must(Object.keys(sent.environment).length === credentials.length, 'not every credential is sent');
  for (const { key, value } of credentials)
    must(
      value.reveal().equals(sent.environment[key] ?? Buffer.alloc(0)),
      'a value is sent as something else',
    );
}
