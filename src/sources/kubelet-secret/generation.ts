/**
 * Reads one generation of a mounted Secret: completely, or not at all.
 *
 * kubelet's atomic writer puts each generation into its own directory and switches the symlink `..data` to it by a
 * rename. Hence these steps, whose numbers are repeated in the code below:
 *   1. open the volume itself; refuse a symlink;
 *   2. readlink `..data`; its target must be one name inside the volume;
 *   3. open that directory; refuse a symlink;
 *   4. read every key through that one descriptor; refuse a symlink anywhere in a key's path;
 *   5. readlink `..data` again: if it changed, the generation may be half deleted, so start again;
 *   6. after a bounded number of attempts, give up with a refusal, never with a mixture.
 *
 * The visible links beside `..data` are never read: new keys appear after the rename, and removed ones dangle.
 *
 * Opening `/proc/self/fd/<n>/name` is how Node can do openat(2): the kernel resolves `name` in the directory that the
 * descriptor holds, wherever that is mounted by now.
 *
 * Everything is synchronous on purpose. The files are in memory (tmpfs) and a read costs microseconds. Four trips to
 * the thread pool per key would cost a hundred times that, in the middle of a rotation. O_NONBLOCK keeps a planted
 * FIFO from blocking the process.
 */
import { closeSync, constants, fstatSync, opendirSync, openSync, readlinkSync, readvSync } from 'node:fs';
import { errorCode, throwShortage } from '../../domain/errors.ts';
import { SecretValue } from '../../domain/secret-value.ts';
import { eraseGeneration, type KeyFault, type KeyRead, type SourceRead, type Wanted } from '../source.ts';
import type { KubeletFault } from './faults.ts';

type Read = SourceRead<KubeletFault>;

/** Largest file that is read, in bytes: a whole Secret is at most 1 MiB, and a served value at most 64 KiB. */
export const MAX_FILE_BYTES = 1024 * 1024;
/** Most files in one generation: 1 MiB of keys with at least a hundred bytes each. */
export const MAX_FILES = 10_000;
/**
 * Largest generation, in bytes: sixteen full Secrets in one projected volume. Without this limit, ten thousand files of
 * 1 MiB each would exhaust the memory.
 */
export const MAX_GENERATION_BYTES = 16 * 1024 * 1024;
/** Most attempts to read one generation while `..data` keeps changing. Each takes about as long as kubelet's write. */
const MAX_TRIES = 16;

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The generation vanished during an attempt; step 5 decides what that means. */
class Moved extends Error {}

/** Reads the current generation. Never throws, whatever the volume contains. */
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

/** Target of `..data`; undefined if it does not exist. */
function readData(volume: number): string | undefined {
  try {
    return readlinkSync(at(volume, '..data'));
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT') return undefined;
    if (code === 'EINVAL') return ''; // not a symlink, so not a plain name either
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
    // A directory that is being deleted lists fewer names than it had; step 5 notices that `..data` changed.
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

/** Names in a directory, at most `limit`, so that a huge directory is not read completely. */
function listNames(directory: number, limit: number): string[] {
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

/** Step 4: opens the directories of a key's path one by one, so that none of them can be a symlink. */
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

function at(directory: number, name: string): string {
  return `/proc/self/fd/${directory}/${name}`;
}

function fault(kind: KubeletFault, code: string): Read {
  return { kind: 'fault', fault: kind, code };
}

function keyFault(kind: KeyFault, code: string): KeyRead {
  return { kind: 'fault', fault: kind, code };
}
