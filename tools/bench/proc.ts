/** What the kernel reports about a process. The resolver is non-dumpable, so reading its memory usage needs root. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Memory {
  /** MiB, pages of files that others share included. */
  readonly rss: number;
  /** MiB that only this process has, and has written to. */
  readonly privateDirty: number;
}

/** `pss`: MiB, of pages that are shared its part. */
export function memoryOf(pid: number): Memory & { readonly pss: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string): number => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(rollup);
    if (match === null) throw new Error(`/proc/${pid}/smaps_rollup has no ${name}`);
    return Number(match[1]) / 1024;
  };
  return { rss: field('Rss'), privateDirty: field('Private_Dirty'), pss: field('Pss') };
}

/** Nanoseconds that all threads of a process have run. A thread that ended in between is not counted. */
export function cpuNs(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]))
    .reduce((sum, ns) => sum + ns, 0);
}

/** For figures that nobody else can take. */
export function requireRoot(): void {
  if (process.getuid?.() !== 0)
    throw new Error('the resolver lets nobody look into it but root: run this figure as root');
}
