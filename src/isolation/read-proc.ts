import { readFileSync } from 'node:fs';
import { errorCode } from '../errors.ts';

/** A small file of /proc; undefined where the process has ended, or the kernel does not let us read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    failForShortage(error);
    return undefined;
  }
}

/** Our own shortage is no fact about another process: the round fails instead of seeing nobody. */
export function failForShortage(error: unknown): void {
  if (['EMFILE', 'ENFILE', 'ENOMEM'].includes(errorCode(error))) throw error;
}
