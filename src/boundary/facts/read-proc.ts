import { readFileSync } from 'node:fs';
import { throwShortage } from '../../domain/errors.ts';

/** A small file of /proc; undefined where the process has ended, or the kernel does not let us read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // Our own shortage is no fact about another process: the round fails instead of seeing nobody.
    throwShortage(error);
    return undefined;
  }
}
