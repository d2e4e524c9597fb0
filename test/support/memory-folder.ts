import { accessSync, constants, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder in memory, as kubelet's are, where the machine has one that we may write: a disk slows races down. */
export function folderInMemory(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return mkdtempSync('/dev/shm/msr-');
  } catch {
    return mkdtempSync(join(tmpdir(), 'msr-'));
  }
}
