import { readFileSync } from 'node:fs';
import { throwShortage } from '../../domain/errors.ts';
import { parseStatus, type TaskStatus } from './proc.ts';

/** What `read` returns; undefined where nothing exists any more, or the kernel does not let us read. */
export function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    // Our own shortage is no fact about anything else: the round fails instead of seeing nobody.
    throwShortage(error);
    return undefined;
  }
}

export function readText(path: string): string | undefined {
  return ifReadable(() => readFileSync(path, 'utf8'));
}

/** The status of a process or a thread, by its folder in /proc. */
export function readStatus(folder: string): TaskStatus | undefined {
  return parseStatus(readText(`${folder}/status`) ?? '');
}
