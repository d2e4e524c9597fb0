/**
 * How long a process had to say something: the time that it ran, and the time that it slept by its own choice. On a
 * busy machine the clock goes on while a process stands in line for the processor, which is no fault of an input.
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
    // The name, which may hold anything, stands in brackets before the state.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, user, system] = [fields[0], fields[11], fields[12]];
    return { cpuMs: (Number(user) + Number(system)) * TICK_MS, sleeps: state === 'S' || state === 'D' };
  } catch {
    return undefined;
  }
}
