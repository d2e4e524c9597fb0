/**
 * Collects all garbage once the process has come to rest after its start, or after much work. V8 collects as little
 * as it can for as long as it can, and a sidecar rests for nearly all of its life with what its busiest moment left.
 */

/** Milliseconds without work after which the process rests. The collection takes some 20 ms of nobody's time then. */
const REST_MS = 1_000;
/** Calls and rotations that leave enough garbage to be worth it: a supervisor that asks every 10 s gets there in an hour. */
const MUCH_WORK = 500;

export class IdleCollection implements Disposable {
  readonly #collect: () => void;
  /** The start alone is much. */
  #work = MUCH_WORK;
  #rest: NodeJS.Timeout | undefined;

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

  [Symbol.dispose](): void {
    clearTimeout(this.#rest);
  }

  #wait(): void {
    if (this.#rest !== undefined) {
      this.#rest.refresh();
      return;
    }
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      this.#work = 0;
      this.#collect();
    }, REST_MS).unref();
  }
}

/** As before V8 gives up for want of memory: its caches go too. Code stays, by a flag of ours: a rotation must not wait for it. */
function collectAll(): void {
  // Not there where node was started without our flags: then V8 goes on as it does by itself.
  globalThis.gc?.({ type: 'major', flavor: 'last-resort', execution: 'sync' });
}
