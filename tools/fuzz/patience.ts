/**
 * How long a process has been silent: the time that it ran, and the time that it slept voluntarily. Time spent waiting
 * for the processor on a busy machine does not count, because an input does not cause it.
 */
import { readFileSync } from 'node:fs';

/** Milliseconds of a tick of the CPU times in /proc: Linux counts them in hundredths of a second for everybody. */
const TICK_MS = 10;

export interface ProcessTimes {
  /** CPU milliseconds of all threads. */
  readonly cpuMs: number;
  /** Whether it waits for something else than the processor. */
  readonly sleeps: boolean;
}

export class Patience {
  #cpuMs: number;
  #at: number;
  #sleptMs = 0;
  #usedMs = 0;

  constructor({ cpuMs }: ProcessTimes, now: number) {
    this.#cpuMs = cpuMs;
    this.#at = now;
  }

  /** The process said something. */
  heard(): void {
    this.#sleptMs = 0;
    this.#usedMs = 0;
  }

  /** Milliseconds that count since it was heard. To be asked often: what it did in between is taken from what it does now. */
  look({ cpuMs, sleeps }: ProcessTimes, now: number): number {
    const used = cpuMs - this.#cpuMs;
    if (sleeps) this.#sleptMs += Math.max(0, now - this.#at - used);
    this.#usedMs += used;
    this.#cpuMs = cpuMs;
    this.#at = now;
    return this.#usedMs + this.#sleptMs;
  }
}

/** Times of a process; of one that is gone there are none. */
export function processTimes(pid: number): ProcessTimes | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name is in brackets before the state, and may contain any character.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, user, system] = [fields[0], fields[11], fields[12]];
    return { cpuMs: (Number(user) + Number(system)) * TICK_MS, sleeps: state === 'S' || state === 'D' };
  } catch {
    return undefined;
  }
}
