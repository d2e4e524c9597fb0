/**
 * Ends and removes what a test left behind that never came to its end. Vitest stops a worker by SIGTERM, which runs no
 * `exit` handler, and by SIGKILL half a second later.
 */
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';

const left = new Map<unknown, () => void>();

function undoAll(): void {
  // Processes before the folders that they were started in.
  for (const undo of [...left.values()].reverse()) {
    try {
      undo();
    } catch {
      // It is gone, or a mount is in it; the others are still to be undone.
    }
  }
  left.clear();
}

process.once('exit', undoAll);
process.once('SIGTERM', () => {
  undoAll();
  process.kill(process.pid, 'SIGKILL');
});

/** Kills the child at the end of this process, with its group if it leads one. */
export function endWithUs(child: ChildProcess, group = false): void {
  const { pid } = child;
  if (pid === undefined) return;
  left.set(child, () => process.kill(group ? -pid : pid, 'SIGKILL'));
  child.once('exit', () => left.delete(child));
}

/** Removes the folder at the end of this process; the function that is returned does it now. */
export function removeWithUs(folder: string): () => void {
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  left.set(folder, remove);
  return () => {
    remove();
    left.delete(folder);
  };
}
