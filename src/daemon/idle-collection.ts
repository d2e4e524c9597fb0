/**
 * Collects all garbage once the process has come to rest after its start, or after much work. V8 collects as little
 * as it can for as long as it can, and a sidecar rests for nearly all of its life with what its busiest moment left.
 */

import { trimMalloc } from '../native/native.ts';

const TICK_MS = 100;
/**
 * Milliseconds that the ticks of one second may be late in all. More means that others have the CPU: with 1% of a core,
 * all that a spinning agent may leave us, the collection would hold up every caller for seconds.
 */
const LATE_MS = 20;
const SECOND_MS = 1_000;
/**
 * Seconds in a row without work and without lateness after which the process rests. The collection takes some 20 to 80 ms
 * of nobody's time then. Beside a spinning agent a single second may pass without lateness, about once a minute.
 */
const REST_SECONDS = 5;
/** Calls and rotations that leave enough garbage to be worth it: a supervisor that asks every 10 s gets there in an hour. */
const MUCH_WORK = 500;

export class IdleCollection implements Disposable {
  readonly #collect: () => void;
  /** The start alone is much. */
  #work = MUCH_WORK;
  #ticks: NodeJS.Timeout | undefined;
  #secondSince = 0;
  #quietSeconds = 0;
  #due = 0;
  #late = 0;

  /** `collect` is for tests. */
  constructor(collect: () => void = collectAll) {
    this.#collect = collect;
    this.#wait();
  }

  /** One call or rotation. */
  worked(): void {
    this.#work += 1;
    if (this.#work >= MUCH_WORK) this.#wait();
  }

  /** A read of the configuration: what parsed it is garbage now. */
  workedMuch(): void {
    this.#work = MUCH_WORK;
    this.#wait();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#ticks);
  }

  #wait(): void {
    this.#beginSecond(0);
    if (this.#ticks !== undefined) return;
    this.#due = this.#secondSince + TICK_MS;
    this.#ticks = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  #beginSecond(quietSeconds: number): void {
    this.#secondSince = performance.now();
    this.#quietSeconds = quietSeconds;
    this.#late = 0;
  }

  #tick(): void {
    const now = performance.now();
    this.#late += Math.max(0, now - this.#due);
    this.#due = now + TICK_MS;
    if (now - this.#secondSince < SECOND_MS) return;
    this.#beginSecond(this.#late > LATE_MS ? 0 : this.#quietSeconds + 1);
    if (this.#quietSeconds < REST_SECONDS) return;
    clearInterval(this.#ticks);
    this.#ticks = undefined;
    this.#work = 0;
    this.#collect();
  }
}

/**
 * As V8 does before it gives up for lack of memory: its caches go too. Code stays, by a flag of ours: a rotation must not
 * wait for it. malloc then holds some 10 MiB that nobody uses, and would keep them.
 */
function collectAll(): void {
  // Not there where node was started without our flags: then V8 goes on as it does by itself.
  globalThis.gc?.({ type: 'major', flavor: 'last-resort', execution: 'sync' });
  trimMalloc();
}
