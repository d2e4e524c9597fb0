/** Reads to see whether it can be read. Bytes are counted and overwritten; none leaves this file. */
import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../domain/errors.ts';
import type { Gain } from './tries.ts';

/** Bytes read of one file: enough to prove a leak, little enough for a run in seconds. */
const MAX_READ_BYTES = 65_536;
/** Files below one folder. A Secret is at most 1 MiB, so a volume that has more is none. */
const MAX_FILES = 256;
const MAX_DEPTH = 4;

/** How many bytes of a file can be read, up to 64 KiB. Throws what the kernel answered. */
export function readableBytes(path: string, position?: number): number {
  // Without O_NONBLOCK a FIFO would block the self-test forever.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  const buffer = Buffer.alloc(position === undefined ? MAX_READ_BYTES : 64);
  try {
    return readSync(fd, buffer, 0, buffer.length, position ?? null);
  } finally {
    buffer.fill(0);
    closeSync(fd);
  }
}

/** As a gain. No bytes is none: kernel threads open and hold nothing. */
export function gainInFile(path: string): Gain {
  const bytes = readableBytes(path);
  return bytes === 0 ? undefined : `${bytes} bytes read`;
}

/** Reads every file below a folder, or the file that `path` is. Throws what the kernel answered for `path` itself. */
export function gainInTree(path: string): Gain {
  let files = 0;
  let bytes = 0;
  let firstRefusal: unknown;
  const visit = (directory: string, depth: number): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (files >= MAX_FILES) return;
      const child = join(directory, entry.name);
      try {
        if (entry.isDirectory()) {
          if (depth < MAX_DEPTH) visit(child, depth + 1);
        } else {
          // A key of a Secret volume is a link to `..data/<key>`: follow it.
          bytes += readableBytes(child);
          files++;
        }
      } catch (error) {
        if (errorCode(error) !== 'EISDIR') firstRefusal ??= error;
      }
    }
  };
  try {
    visit(path, 0);
  } catch (error) {
    if (errorCode(error) !== 'ENOTDIR') throw error;
    bytes = readableBytes(path);
    files = 1;
  }
  if (files > 0) return `${files} ${files === 1 ? 'file' : 'files'} read, ${bytes} bytes`;
  if (firstRefusal !== undefined) throw firstRefusal;
  return undefined;
}
