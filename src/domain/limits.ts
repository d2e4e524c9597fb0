/** Limits that more than one part of the resolver goes by. Pure: the clock is an argument. Every limit has a unit and a reason. */

/** Largest value, in bytes: header and environment limits of everything we know of are below it. */
export const MAX_VALUE_BYTES = 64 * 1024;
/** Largest message, in bytes: gRPC clients refuse a larger one unless told otherwise. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Bytes of credentials in one response; the difference is room for refusals and framing. */
export const MAX_RESPONSE_BYTES = MAX_MESSAGE_BYTES - 256 * 1024;

/** Budgets of one UID on one socket. They hold for every method, known or not. */
export interface Limits {
  /** Open connections. */
  readonly connectionsPerUid: number;
  /** Connections above that which are answered RESOURCE_EXHAUSTED; further ones are closed unheard. */
  readonly excessConnectionsPerUid: number;
  /** New connections a second in the long run; those above are closed unheard. */
  readonly connectionsPerSecond: number;
  /** New connections at once after a quiet time. */
  readonly connectionBurst: number;
  /** HTTP/2 streams open at once on one connection. */
  readonly streamsPerConnection: number;
  /** Open calls besides watches; further ones are reset. */
  readonly callsPerUid: number;
  /** Open watches. */
  readonly watchesPerUid: number;
  /** Calls a second that are served in the long run. */
  readonly requestsPerSecond: number;
  /** Calls at once after a quiet time. */
  readonly requestBurst: number;
  /** Calls begun in one turn of the event loop; the next ones wait until every other UID had its turn. */
  readonly requestsPerTurn: number;
  /** Bytes of requests that are not complete yet. */
  readonly inboundBytesPerUid: number;
  /** Bytes a second that are read in the long run, of whatever kind. */
  readonly inboundBytesPerSecond: number;
  /** Bytes of responses that wait for the peer to read them. */
  readonly unreadBytesPerUid: number;
  /** Largest request, in bytes. */
  readonly requestBytes: number;
  /** Milliseconds in which a message must be complete once its call, or the message, began. */
  readonly messageTimeoutMs: number;
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
  // Each costs some 0.5 ms and 100 KiB until the next collection. The burst covers every connection that a UID may have.
  connectionsPerSecond: 16,
  connectionBurst: 96,
  // gRPC clients queue further calls by themselves; HTTP/2 refuses those of others before we see them. All streams of
  // a connection may begin in one turn of the event loop.
  streamsPerConnection: 32,
  // Each holds some 15 KiB. A call that is not read stays open.
  callsPerUid: 128,
  // Together a sixteenth of the memory that the sidecar is given.
  watchesPerUid: 1_000,
  // A supervisor holds a watch, and asks once in 10 s at most. A call leaves some 20 KiB of garbage: of 1,000 a second
  // the heap grows by 50 MiB, of 250 by 20.
  requestsPerSecond: 250,
  // Every watch that a UID may have, opened at once.
  requestBurst: 1_000,
  // What one connection can begin is done before the next one's turn: 2 ms of work, the longest that another UID waits.
  requestsPerTurn: 8,
  // Sixteen requests of the largest size.
  inboundBytesPerUid: 1024 * 1024,
  // 10,000 of the largest acknowledgements a second, and a few milliseconds of the cheapest frames.
  inboundBytesPerSecond: 1024 * 1024,
  // Four of the largest responses, a sixteenth of the memory that the sidecar is given: HTTP/2 lets a peer ask
  // without reading.
  unreadBytesPerUid: 16 * 1024 * 1024,
  // A list of provider names.
  requestBytes: 64 * 1024,
  // A peer that dribbles bytes holds a place no longer than this.
  messageTimeoutMs: 10_000,
  firstCallTimeoutMs: 10_000,
  // A peer that is gone without a word (a stopped VM, a frozen cgroup) is found within 40 s. So is one that closed
  // after GOAWAY and a broken frame: Node's HTTP/2 does not notice that by itself.
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

  /** Takes more tokens than there may be. */
  owe(tokens: number): void {
    this.#tokens -= tokens;
  }
}
