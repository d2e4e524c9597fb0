/** How much one UID may take. Pure: the clock is an argument. Every limit has a unit and a reason. */

export interface Limits {
  /** Open connections of one UID. */
  readonly connectionsPerUid: number;
  /** Connections above that, of one UID, which are told RESOURCE_EXHAUSTED before further ones are closed unheard. */
  readonly excessConnectionsPerUid: number;
  /** HTTP/2 streams open at once on one connection. */
  readonly streamsPerConnection: number;
  /** Open watches of one UID. */
  readonly watchesPerUid: number;
  /** Calls a second of one UID that are served in the long run. */
  readonly requestsPerSecond: number;
  /** Calls of one UID that may come at once after a quiet second. */
  readonly requestBurst: number;
  /** Bytes of responses of one UID that may wait for it to read them. */
  readonly unreadBytesPerUid: number;
  /** Largest request, in bytes. */
  readonly requestBytes: number;
  /** Milliseconds in which a new connection must begin its first call, or be closed. */
  readonly firstCallTimeoutMs: number;
  /** Milliseconds between two pings to a peer. */
  readonly pingIntervalMs: number;
  /** Milliseconds in which a peer must answer a ping, or be closed. */
  readonly pingTimeoutMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  // A supervisor needs one; this leaves room for several with reconnects under way.
  connectionsPerUid: 64,
  excessConnectionsPerUid: 16,
  // gRPC clients queue further calls by themselves.
  streamsPerConnection: 128,
  // Each costs a few hundred bytes and one write a rotation.
  watchesPerUid: 2_048,
  // About what one core can answer: one listed UID cannot take more than the machine from another.
  requestsPerSecond: 5_000,
  requestBurst: 5_000,
  // Four of the largest responses, a sixteenth of the memory that the sidecar is given: HTTP/2 lets a peer
  // ask without reading, and gRPC holds a copy of each answer until it is read.
  unreadBytesPerUid: 16 * 1024 * 1024,
  // A list of provider names.
  requestBytes: 64 * 1024,
  // A peer that dribbles bytes holds a place no longer than this.
  firstCallTimeoutMs: 10_000,
  // A peer that is gone without a word (a stopped VM, a frozen cgroup) is found out within 40 s. So is one that
  // closed after GOAWAY and a broken frame: Node's HTTP/2 does not notice that by itself.
  pingIntervalMs: 30_000,
  pingTimeoutMs: 10_000,
};

/** Refills by `perSecond` and holds at most `burst`. */
export class TokenBucket {
  #tokens: number;
  #at: number;
  readonly #perSecond: number;
  readonly #burst: number;

  constructor(perSecond: number, burst: number, now: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes one token; false where there is none. `now` in milliseconds on a monotonic clock. */
  take(now: number): boolean {
    const elapsed = Math.max(0, now - this.#at);
    this.#at = Math.max(this.#at, now);
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed / 1000) * this.#perSecond);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** Counts what was answered and not yet read. Whoever is held up by it waits in a queue, and is called in turn. */
export class UnreadBytes {
  readonly #limit: number;
  readonly #waiting = new Set<() => void>();
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether nothing more is to be answered for now. */
  get full(): boolean {
    return this.#used >= this.#limit;
  }

  /** Takes up room for one response, the last of which may go beyond the limit; false where there is none. */
  take(bytes: number): boolean {
    if (this.full) return false;
    this.#used += bytes;
    return true;
  }

  /** Gives room back, and calls those who wait for as long as there is some. */
  give(bytes: number): void {
    this.#used -= bytes;
    while (this.#used < this.#limit) {
      const next = this.#waiting.values().next().value;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next();
    }
  }

  /** Calls `resume` once, when there is room. */
  wait(resume: () => void): void {
    this.#waiting.add(resume);
  }

  /** Takes `resume` out of the queue. */
  forget(resume: () => void): void {
    this.#waiting.delete(resume);
  }
}

/** What one UID has in use. Only listed UIDs get one, so their number is bounded by the configuration. */
export class UidUsage {
  connections = 0;
  watches = 0;
  readonly requests: TokenBucket;
  readonly unread: UnreadBytes;

  constructor(limits: Limits, now: number) {
    this.requests = new TokenBucket(limits.requestsPerSecond, limits.requestBurst, now);
    this.unread = new UnreadBytes(limits.unreadBytesPerUid);
  }
}
