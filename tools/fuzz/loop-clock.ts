/**
 * A clock that advances with the turns of the event loop. Server and client of a target are one process. If the machine
 * does not schedule it for seconds, all its timers are due before it reads any data. This clock does not mistake such a
 * pause for silence.
 */

/** Milliseconds between two ticks. */
const TICK_MS = 50;
/** Milliseconds without a tick after which the server's own timers may have ended what a client did. */
const PAUSE_MS = 100;

export class LoopClock implements Disposable {
  #now = 0;
  #tickAt = performance.now();
  #pausedAt = Number.NEGATIVE_INFINITY;
  readonly #timer = setInterval(() => this.#tick(), TICK_MS);

  /** Milliseconds, of which each turn of the loop adds {@link TICK_MS} at most. */
  now(): number {
    return this.#now;
  }

  /** Whether the loop stood still since `from`, a time of this clock, or so shortly before that its effects come since. */
  pausedSince(from: number): boolean {
    return this.#pausedAt >= from - 2 * TICK_MS || performance.now() - this.#tickAt > PAUSE_MS;
  }

  /** Waits until `condition` holds; whether it did within so much time. */
  async until(condition: () => boolean, ms: number): Promise<boolean> {
    const deadline = this.#now + ms;
    while (!condition()) {
      if (this.#now > deadline) return false;
      await new Promise((wake) => setTimeout(wake, 5));
    }
    return true;
  }

  /** Calls back after so much time, unless it is told not to. Less than a tick is by the machine's clock. */
  after(ms: number, done: () => void): () => void {
    if (ms < TICK_MS) {
      const timer = setTimeout(done, ms);
      return () => clearTimeout(timer);
    }
    const deadline = this.#now + ms;
    const timer = setInterval(() => {
      if (this.#now < deadline) return;
      clearInterval(timer);
      done();
    }, TICK_MS);
    return () => clearInterval(timer);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const at = performance.now();
    if (at - this.#tickAt > PAUSE_MS) this.#pausedAt = this.#now;
    this.#now += Math.min(TICK_MS, at - this.#tickAt);
    this.#tickAt = at;
  }
}
