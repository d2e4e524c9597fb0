/**
 * Control groups, v1 or v2 as the machine has them: one with a memory limit for the program under test, and one around
 * it and whoever it competes with, so that what else runs on the machine takes little from them. As root.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/sys/fs/cgroup';
const V2 = existsSync(join(ROOT, 'cgroup.controllers'));
const NAME = `msr-${process.pid}`;
const FILES = V2
  ? { limit: 'memory.max', peak: 'memory.peak', events: 'memory.events' }
  : { limit: 'memory.limit_in_bytes', peak: 'memory.max_usage_in_bytes', events: 'memory.oom_control' };
const CPU = V2 ? join(ROOT, NAME) : join(ROOT, 'cpu', NAME);
const MEMORY = V2 ? join(CPU, 'limited') : join(ROOT, 'memory', NAME);
/** For processes that have no memory limit. In v2 none may be in a group that has groups. */
const OTHERS = V2 ? join(CPU, 'others') : CPU;

export class MemoryGroup implements Disposable {
  readonly #home: readonly string[];

  constructor(limitBytes: number) {
    this.#home = ownGroups();
    if (V2) writeFileSync(join(ROOT, 'cgroup.subtree_control'), '+memory +cpu');
    mkdirSync(CPU);
    writeFileSync(join(CPU, V2 ? 'cpu.weight' : 'cpu.shares'), V2 ? '10000' : '262144');
    if (V2) writeFileSync(join(CPU, 'cgroup.subtree_control'), '+memory');
    mkdirSync(MEMORY);
    if (V2) mkdirSync(OTHERS);
    writeFileSync(join(MEMORY, FILES.limit), String(limitBytes));
    enter(OTHERS);
  }

  /** Runs `start` with the limit: what it spawns at once is born under it, so that all its memory counts. */
  async during<T>(start: () => Promise<T>): Promise<T> {
    enter(MEMORY);
    const started = start();
    for (const folder of V2 ? [OTHERS] : this.#home.filter((each) => each.startsWith(join(ROOT, 'memory'))))
      enter(folder);
    return started;
  }

  get peakBytes(): number {
    return Number(readFileSync(join(MEMORY, FILES.peak), 'utf8'));
  }

  get kills(): number {
    const events = readFileSync(join(MEMORY, FILES.events), 'utf8');
    return Number(/^oom_kill (\d+)$/m.exec(events)?.[1]);
  }

  /** Forgets the peak so far, where the kernel lets us. */
  forgetPeak(): void {
    if (!V2) writeFileSync(join(MEMORY, FILES.peak), '0');
  }

  [Symbol.dispose](): void {
    for (const folder of this.#home) enter(folder);
    for (const folder of new Set([MEMORY, OTHERS, CPU])) if (existsSync(folder)) rmdirSync(folder);
  }
}

function enter(folder: string): void {
  writeFileSync(join(folder, 'cgroup.procs'), String(process.pid));
}

/** Where this process is now. */
function ownGroups(): string[] {
  const lines = readFileSync('/proc/self/cgroup', 'utf8');
  const at = (pattern: RegExp) => pattern.exec(lines)?.[1] ?? '/';
  return V2
    ? [join(ROOT, at(/^0::(.*)$/m))]
    : [join(ROOT, 'memory', at(/^\d+:memory:(.*)$/m)), join(ROOT, 'cpu', at(/^\d+:cpu:(.*)$/m))];
}
