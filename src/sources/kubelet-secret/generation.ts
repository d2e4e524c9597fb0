/**
 * Reads one generation of a mounted Secret: whole, or not at all.
 *
 * kubelet's atomic writer puts each generation into a directory of its own and swings the symlink `..data` to
 * it by a rename. Hence the steps, which the code below carries by number:
 *   1. open the volume itself, refusing a symlink in its place;
 *   2. readlink `..data`; its target must be one name inside the volume;
 *   3. open that directory, refusing a symlink;
 *   4. read every key through that one descriptor, refusing symlinks at every step of a key's path;
 *   5. readlink `..data` again: where it moved, what was read may be half deleted: start again;
 *   6. after a bounded number of tries give up: a refusal, never a mixture.
 *
 * The visible links beside `..data` are never looked at: new keys lag behind the rename, removed ones dangle.
 *
 * Opening `/proc/self/fd/<n>/name` is openat(2) in the words that Node has: the kernel resolves `name` in the
 * directory that we hold, wherever that is mounted by now.
 *
 * Everything is synchronous on purpose. The files are in memory (tmpfs), a read costs microseconds, and a trip
 * to the thread pool for each of four calls a key would cost a hundred times that, in the middle of a rotation.
 * O_NONBLOCK keeps a FIFO that somebody planted from stopping the process.
 */
import {
  closeSync,
  constants,
  fstatSync,
  opendirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readvSync,
} from 'node:fs';
import { errorCode, throwShortage } from '../../domain/errors.ts';
import { SecretValue } from '../../domain/secret-value.ts';
import { eraseGeneration, type KeyFault, type KeyRead, type SourceRead, type Wanted } from '../source.ts';
import type { KubeletFault } from './faults.ts';

type Read = SourceRead<KubeletFault>;

/** Largest file that is read, in bytes: a Secret as a whole is at most 1 MiB, and a served value 64 KiB. */
export const MAX_FILE_BYTES = 1024 * 1024;
/** Most files of one generation: 1 MiB of keys with at least a hundred bytes each. */
export const MAX_FILES = 10_000;
/**
 * Most bytes of one generation: sixteen full Secrets in one projected volume. Without it ten thousand files of
 * 1 MiB each would end the process.
 */
export const MAX_GENERATION_BYTES = 16 * 1024 * 1024;
/** Tries to read one generation while `..data` keeps moving. Each takes about as long as one rotation's write. */
const MAX_TRIES = 16;

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Raised inside a try where the generation vanished under it: step 5 decides what that means. */
class Moved extends Error {}

/** Reads the generation that is in force. Never throws for anything that a volume can contain. */
export function readGeneration(directory: string, wanted: Wanted): Read {
  let volume: number | undefined;
  try {
    volume = openSync(directory, DIRECTORY); // 1
    return readThrough(volume, wanted);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return fault('secret-missing', code);
    if (code === 'ELOOP' || code === 'ENOTDIR') return fault('leads-out-of-volume', code);
    return fault('unreadable', code);
  } finally {
    if (volume !== undefined) closeSync(volume);
  }
}

function readThrough(volume: number, wanted: Wanted): Read {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const before = readData(volume); // 2
    if (before === undefined) return withoutData(volume);
    if (!isPlainName(before)) return fault('leads-out-of-volume', 'ELOOP');
    let read: Read | undefined;
    try {
      read = readDirectory(volume, before, wanted); // 3, 4
    } catch (error) {
      if (!(error instanceof Moved)) throw error;
    }
    if (readData(volume) === before && read !== undefined) return read; // 5
    if (read?.kind === 'generation') eraseGeneration(read.generation);
  }
  return fault('unstable', 'EAGAIN'); // 6
}

/** Target of `..data`, or undefined where there is none. */
function readData(volume: number): string | undefined {
  try {
    return readlinkSync(at(volume, '..data'));
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return undefined;
    if (code === 'EINVAL') return ''; // not a symlink: not a plain name either
    throw error;
  }
}

/** One name: not empty, not a path, not `.` or `..`. */
function isPlainName(target: string): boolean {
  return target !== '' && !target.includes('/') && target !== '.' && target !== '..';
}

function withoutData(volume: number): Read {
  return listNames(volume, 1).length === 0
    ? fault('secret-missing', 'ENOENT')
    : fault('not-kubelet-layout', 'ENOENT');
}

function readDirectory(volume: number, name: string, wanted: Wanted): Read {
  let directory: number;
  try {
    directory = openSync(at(volume, name), DIRECTORY); // 3
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') throw new Moved();
    if (code === 'ELOOP' || code === 'ENOTDIR') return fault('leads-out-of-volume', code);
    throw error;
  }
  const keys = new Map<string, KeyRead>();
  try {
    // A directory that is being deleted lists fewer names than it had; step 5 sees that `..data` moved.
    const names = new Set(wanted.keys);
    const listed = wanted.all ? listNames(directory, MAX_FILES + 1) : [];
    if (listed.length > MAX_FILES) return fault('too-many-files', 'EFBIG');
    for (const entry of listed) if (wanted.takes?.(entry) ?? true) names.add(entry);
    if (names.size > MAX_FILES) return fault('too-many-files', 'EFBIG');
    let bytes = 0;
    for (const key of names) {
      const read = readKey(directory, key);
      keys.set(key, read);
      if (read.kind === 'bytes') bytes += read.value.byteLength;
      if (bytes > MAX_GENERATION_BYTES) {
        eraseGeneration({ id: name, keys });
        return fault('volume-too-large', 'EFBIG');
      }
    }
    return { kind: 'generation', generation: { id: name, keys } };
  } catch (error) {
    eraseGeneration({ id: name, keys });
    throw error;
  } finally {
    closeSync(directory);
  }
}

/** Names in a directory, at most `limit`: a list without end is not read to its end. */
function listNames(directory: number, limit: number): string[] {
  // One call, where no more names can be there than are taken anyway: a file system that tells a directory's size has
  // twelve bytes in it for each. Node's listing in steps takes four times as long.
  const { size } = fstatSync(directory);
  if (size > 0 && size <= limit * 12) return readdirSync(at(directory, '.'));
  const listing = opendirSync(at(directory, '.'));
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

/** Step 4: walks the folders of a key's path one by one, so that none of them can be a symlink. */
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
    // Of all files, not of this key: a generation without it would be a mixture.
    throwShortage(error);
    const code = errorCode(error);
    // The last two: a name that no file can have, for example of a profile's credential.
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
  // A buffer of its own, which the value takes as it is: no second copy is left behind.
  const bytes = Buffer.from(new ArrayBuffer(stat.size));
  // One byte more than stat said: a file that grows meanwhile is noticed and not cut off.
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

function at(directory: number, name: string): string {
  return `/proc/self/fd/${directory}/${name}`;
}

function fault(kind: KubeletFault, code: string): Read {
  return { kind: 'fault', fault: kind, code };
}

function keyFault(kind: KeyFault, code: string): KeyRead {
  return { kind: 'fault', fault: kind, code };
}
