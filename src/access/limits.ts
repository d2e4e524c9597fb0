/** How much one UID may take. Pure: the clock is an argument. Every limit has a unit and a reason. */

/** Open connections of one UID. A supervisor needs one; 64 leaves room for several with reconnects under way. */
export const MAX_CONNECTIONS_PER_UID = 64;
/** Connections above that, of one UID, that are still told RESOURCE_EXHAUSTED before further ones are closed unheard. */
export const EXCESS_CONNECTIONS_PER_UID = 16;
/** HTTP/2 streams open at once on one connection: gRPC clients queue further calls by themselves. */
export const MAX_STREAMS_PER_CONNECTION = 128;
/** Open watches of one UID. Each costs a few hundred bytes and one write a rotation. */
export const MAX_WATCHES_PER_UID = 2_048;
/** Calls a second of one UID that are served in the long run: about what one core can answer. */
export const REQUESTS_PER_SECOND = 5_000;
/** Calls of one UID that may come at once after a quiet second. */
export const REQUEST_BURST = 5_000;
/** Largest request, in bytes: a list of provider names. */
export const MAX_REQUEST_BYTES = 64 * 1024;
/** Milliseconds in which a new connection must begin its first call, or be closed: a peer that dribbles holds a place no longer. */
export const FIRST_CALL_TIMEOUT_MS = 10_000;

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
    this.#at = now;
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed / 1000) * this.#perSecond);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

/** What one UID has in use. Only listed UIDs get one, so their number is bounded by the configuration. */
export class UidUsage {
  connections = 0;
  watches = 0;
  readonly requests: TokenBucket;

  constructor(now: number) {
    this.requests = new TokenBucket(REQUESTS_PER_SECOND, REQUEST_BURST, now);
  }
}
