/**
 * Whether a process is on its way out. While it ends the kernel takes its parts away one after another, its
 * mounts before its credentials, and what is left of it looks like a process that hides something.
 */
import { existsSync, readdirSync } from 'node:fs';
import { parseStatus, parseTaskFlags } from './proc.ts';
import { ifReadable, readText } from './readable.ts';

/** PF_EXITING and PF_SIGNALED of linux/sched.h: the task is in its exit, or about to be for a signal; neither has a way back. */
const EXITING = 0x0000_0004 | 0x0000_0400;

/**
 * Whether no thread of a process will run its program again: each has ended, is in its exit or has been killed.
 * All three are the kernel's own words; for some instructions after it has taken the signal a thread shows none of
 * them. A leader that has ended while another of its threads lives on is not enough, nor are threads that cannot be
 * listed. `folder` is that of the process in /proc; `breathe` gives the event loop its turn when it is time.
 */
export async function isEnding(folder: string, breathe: () => Promise<void>): Promise<boolean> {
  const known = new Set<string>();
  for (const task of taskFolders(folder)) {
    await breathe();
    if (!isTaskEnding(task)) return false;
    known.add(task);
  }
  if (known.size === 0) return !existsSync(folder);
  // A thread that lived when the list was read may have started another since; one that ends starts none.
  return taskFolders(folder).every((task) => known.has(task));
}

/** Folders of the threads of a process; none where it has ended, or the kernel does not let us read. */
export function taskFolders(folder: string): string[] {
  const tids = ifReadable(() => readdirSync(`${folder}/task`)) ?? [];
  return tids.map((tid) => `${folder}/task/${tid}`);
}

function isTaskEnding(folder: string): boolean {
  const stat = readText(`${folder}/stat`);
  const status = readText(`${folder}/status`);
  if (stat === undefined || status === undefined) return !existsSync(folder);
  return (parseTaskFlags(stat) & EXITING) !== 0 || parseStatus(status)?.killed === true;
}
