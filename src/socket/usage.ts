/** What one UID has in use. Only listed UIDs have one, so their number is bounded by the configuration. */
import { type Limits, TokenBucket } from '../domain/limits.ts';
import { Throttle } from './throttle.ts';

/** Counts bytes that are held for a UID. What waits for room is resumed in order. */
export class HeldBytes {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get full(): boolean {
    return this.#used >= this.#limit;
  }

  /** More than half of the limit is used. */
  get crowded(): boolean {
    return this.#used > this.#limit / 2;
  }

  /** Counts bytes; those of the last message may exceed the limit. */
  take(bytes: number): void {
    this.#used += bytes;
  }

  /** Gives bytes back, and resumes what waits as long as there is room. */
  give(bytes: number): void {
    this.#used -= bytes;
    while (!this.full) {
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next();
    }
  }

  /** Calls `resume` once, when there is room. */
  wait(resume: () => void): void {
    this.#waiting.add(resume);
  }

  forget(resume: () => void): void {
    this.#waiting.delete(resume);
  }
}

export class UidUsage {
  connections = 0;
  calls = 0;
  watches = 0;
  readonly accepts: TokenBucket;
  readonly requests: TokenBucket;
  readonly inbound: HeldBytes;
  readonly unread: HeldBytes;
  readonly throttle: Throttle;

  constructor(limits: Limits, now: number) {
    this.accepts = new TokenBucket(limits.connectionsPerSecond, limits.connectionBurst, now);
    this.requests = new TokenBucket(limits.requestsPerSecond, limits.requestBurst, now);
    this.inbound = new HeldBytes(limits.inboundBytesPerUid);
    this.unread = new HeldBytes(limits.unreadBytesPerUid);
    this.throttle = new Throttle(limits, this.inbound);
  }
}
