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
 */
import { closeSync, openSync, readlinkSync } from 'node:fs';
import { errorCode } from '../../domain/errors.ts';
import { at, DIRECTORY, isPlainName, listNames, readKeys } from '../folder.ts';
import { eraseGeneration, type SharedFault, type SourceRead, type Wanted } from '../source.ts';
import type { KubeletFault } from './faults.ts';

type Read = SourceRead<KubeletFault>;

/** Most attempts to read one generation while `..data` keeps changing. Each takes about as long as kubelet's write. */
const MAX_TRIES = 16;

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
  try {
    // A directory that is being deleted lists fewer names than it had; step 5 notices that `..data` changed.
    return readKeys(directory, name, wanted);
  } finally {
    closeSync(directory);
  }
}

function fault(kind: KubeletFault | SharedFault, code: string): Read {
  return { kind: 'fault', fault: kind, code };
}
