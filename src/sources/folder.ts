/**
 * Reads the files of a folder through its descriptor, without following a link.
 *
 * Opening `/proc/self/fd/<n>/name` is how Node can do openat(2): the kernel resolves `name` in the directory that the
 * descriptor holds, wherever that is mounted by now.
 *
 * Everything is synchronous on purpose. The files are in memory (tmpfs) and a read costs microseconds. Four trips to
 * the thread pool per key would cost a hundred times that, in the middle of a rotation. O_NONBLOCK keeps a planted
 * FIFO from blocking the process.
 */
import { closeSync, constants, fstatSync, opendirSync, openSync, readvSync } from 'node:fs';
import { errorCode, throwShortage } from '../domain/errors.ts';
import { SecretValue } from '../domain/secret-value.ts';
import { eraseGeneration, type KeyFault, type KeyRead, type SourceRead, type Wanted } from './source.ts';

/** Largest file that is read, in bytes: a whole Secret is at most 1 MiB, and a served value at most 64 KiB. */
export const MAX_FILE_BYTES = 1024 * 1024;
/** Most files in one generation: 1 MiB of keys with at least a hundred bytes each. */
export const MAX_FILES = 10_000;
/**
 * Largest generation, in bytes: sixteen full Secrets in one projected volume. Without this limit, ten thousand files of
 * 1 MiB each would exhaust the memory.
 */
export const MAX_GENERATION_BYTES = 16 * 1024 * 1024;

export const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Every wanted key of a folder, as the generation `id`. Throws in a shortage. */
export function readKeys(
  directory: number,
  id: string,
  wanted: Wanted,
): SourceRead<'too-many-files' | 'volume-too-large'> {
  const tooMany = { kind: 'fault', fault: 'too-many-files', code: 'EFBIG' } as const;
  const keys = new Map<string, KeyRead>();
  try {
    const names = new Set(wanted.keys);
    const listed = wanted.all ? listNames(directory, MAX_FILES + 1) : [];
    if (listed.length > MAX_FILES) return tooMany;
    for (const entry of listed) if (wanted.takes?.(entry) ?? true) names.add(entry);
    if (names.size > MAX_FILES) return tooMany;
    let bytes = 0;
    for (const key of names) {
      const read = readKey(directory, key);
      keys.set(key, read);
      if (read.kind === 'bytes') bytes += read.value.byteLength;
      if (bytes > MAX_GENERATION_BYTES) {
        eraseGeneration({ id, keys });
        return { kind: 'fault', fault: 'volume-too-large', code: 'EFBIG' };
      }
    }
    return { kind: 'generation', generation: { id, keys } };
  } catch (error) {
    eraseGeneration({ id, keys });
    throw error;
  }
}

/** Names in a directory, at most `limit`, so that a huge directory is not read completely. */
export function listNames(directory: number, limit: number): string[] {
  const listing = opendirSync(at(directory, '.'), { bufferSize: 512 });
  try {
    const names: string[] = [];
    while (names.length < limit) {
      const entry = listing.readSync();
      if (entry === null) break;
      names.push(entry.name);
    }
    return names;
  } finally {
    listing.closeSync();
  }
}

/** Opens the directories of a key's path one by one, so that none of them can be a symlink. */
function readKey(directory: number, key: string): KeyRead {
  const opened: number[] = [];
  try {
    const parts = key.split('/');
    const last = parts.pop() ?? '';
    let parent = directory;
    for (const part of parts) {
      if (!isPlainName(part)) return keyFault('symlink', 'ELOOP');
      parent = openSync(at(parent, part), DIRECTORY);
      opened.push(parent);
    }
    if (!isPlainName(last)) return keyFault('key-missing', 'ENOENT');
    const file = openSync(at(parent, last), FILE);
    opened.push(file);
    return readFile(file);
  } catch (error) {
    // Affects all files, not only this key: a generation without it would be a mixture.
    throwShortage(error);
    const code = errorCode(error);
    // The last two: no file can have that name, for example one derived from a profile's credential.
    if (code === 'ENOENT' || code === 'ENAMETOOLONG' || code === 'ERR_INVALID_ARG_VALUE')
      return keyFault('key-missing', code);
    if (code === 'ELOOP') return keyFault('symlink', code);
    if (code === 'ENOTDIR' || code === 'ENXIO') return keyFault('not-a-file', code);
    return keyFault('unreadable', code);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function readFile(file: number): KeyRead {
  const stat = fstatSync(file);
  if (!stat.isFile()) return keyFault('not-a-file', stat.isDirectory() ? 'EISDIR' : 'EINVAL');
  if (stat.size > MAX_FILE_BYTES) return keyFault('too-large', 'EFBIG');
  // A separate buffer, which the value takes over: no second copy is left behind.
  const bytes = Buffer.from(new ArrayBuffer(stat.size));
  // One byte more than stat reported, so that a growing file is detected and not truncated.
  const more = Buffer.alloc(1);
  let length = 0;
  for (let count = -1; count !== 0 && (count < 0 || length < stat.size); length += count)
    count = readvSync(file, [bytes.subarray(length), more], length);
  if (length !== stat.size) {
    bytes.fill(0);
    more.fill(0);
    return keyFault('unreadable', 'EAGAIN');
  }
  return { kind: 'bytes', value: SecretValue.from(bytes) };
}

/** One name: not empty, not a path, not `.` or `..`. */
export function isPlainName(target: string): boolean {
  return target !== '' && !target.includes('/') && target !== '.' && target !== '..';
}

export function at(directory: number, name: string): string {
  return `/proc/self/fd/${directory}/${name}`;
}

function keyFault(kind: KeyFault, code: string): KeyRead {
  return { kind: 'fault', fault: kind, code };
}
