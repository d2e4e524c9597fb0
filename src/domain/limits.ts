/** Limits that several parts of the resolver share. Pure: the clock is an argument. Every limit has a unit and a reason. */

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
  /** Connections above that limit that get RESOURCE_EXHAUSTED; further ones are closed without a response. */
  readonly excessConnectionsPerUid: number;
  /** Sustained rate of new connections per second; those above are closed without a response. */
  readonly connectionsPerSecond: number;
  /** Largest burst of new connections. */
  readonly connectionBurst: number;
  /** HTTP/2 streams open at once on one connection. */
  readonly streamsPerConnection: number;
  /** Open calls besides watches; further ones are reset. */
  readonly callsPerUid: number;
  /** Open watches. */
  readonly watchesPerUid: number;
  /** Sustained rate of calls per second. */
  readonly requestsPerSecond: number;
  /** Largest burst of calls. */
  readonly requestBurst: number;
  /** Calls started in one turn of the event loop; further ones wait until every other UID had its turn. */
  readonly requestsPerTurn: number;
  /** Bytes of requests that are not complete yet. Above half of it the UID's connections are read one after the other. */
  readonly inboundBytesPerUid: number;
  /** Sustained rate of bytes read per second, of any kind. */
  readonly inboundBytesPerSecond: number;
  /** Bytes of responses that wait for the peer to read them. */
  readonly unreadBytesPerUid: number;
  /** Largest request, in bytes. */
  readonly requestBytes: number;
  /** Milliseconds from the start of a call or message until the message must be complete. */
  readonly messageTimeoutMs: number;
  /** Milliseconds in which a new connection must begin its first call, or be closed. */
  readonly firstCallTimeoutMs: number;
  /** Milliseconds between two pings to a peer. */
  readonly pingIntervalMs: number;
  /** Milliseconds in which a peer must answer a ping, or be closed. */
  readonly pingTimeoutMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  // A supervisor needs one; this leaves room for several supervisors that are reconnecting.
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
  // Four of the largest requests of any method. Half of it is more than the first requests of one connection of Envoy,
  // 32 with 61 KB each.
  inboundBytesPerUid: 4 * 1024 * 1024,
  // 10,000 of the largest acknowledgements a second, and a few milliseconds of the cheapest frames.
  inboundBytesPerSecond: 1024 * 1024,
  // Four of the largest responses, a sixteenth of the memory that the sidecar is given: HTTP/2 lets a peer ask
  // without reading.
  unreadBytesPerUid: 16 * 1024 * 1024,
  // A list of provider names.
  requestBytes: 64 * 1024,
  // A peer that sends one byte at a time cannot occupy a connection for longer.
  messageTimeoutMs: 10_000,
  firstCallTimeoutMs: 10_000,
  // Detects a peer that vanished without closing the connection (a stopped VM, a frozen cgroup) within 40 s.
  pingIntervalMs: 30_000,
  pingTimeoutMs: 10_000,
};

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** What strangers may take of one TCP port. */
export interface PortLimits {
  /** Largest request, in bytes: kubelet sends 150, Prometheus 300. */
  readonly requestBytes: number;
  /** Pieces in which a request may arrive, or single bytes would cost us a turn of the event loop each. */
  readonly reads: number;
  /** Milliseconds from accept until the answer is taken. */
  readonly connectionMs: number;
  /** Open connections. */
  readonly connectionsPerAddress: number;
  readonly connections: number;
  /** Connections of one address, of one IPv6 /64, and of all outside the pod. */
  readonly perAddress: Rate;
  readonly perNetwork: Rate;
  readonly total: Rate;
  /** Connections that the kernel keeps until they are accepted. */
  readonly backlog: number;
  /** The queue of the agent, and of who came too often: its length, and milliseconds between two that are accepted. */
  readonly slow: { readonly backlog: number; readonly everyMs: number };
  /** Milliseconds that a prefix which exceeded its budget is in the slow queue, and how many are at once. */
  readonly relegatedMs: number;
  readonly relegated: number;
  /** Milliseconds that a connection may stay open, once the total is used up. */
  readonly allRelegatedMs: number;
}

export const PORT_LIMITS: PortLimits = {
  requestBytes: 2_048,
  reads: 4,
  // Kubelet's own time-out as inject sets it.
  connectionMs: 5_000,
  connectionsPerAddress: 8,
  connections: 64,
  // The node's address is shared by kubelet and everything else on the node; each connection costs some 0.1 ms.
  perAddress: { perSecond: 20, burst: 40 },
  perNetwork: { perSecond: 80, burst: 160 },
  total: { perSecond: 200, burst: 400 },
  // A full queue drops kubelet's request, and the kernel repeats it after 1 s only.
  backlog: 512,
  // Under full contention there is 1% of a core for all of serving.
  slow: { backlog: 4, everyMs: 500 },
  relegatedMs: 10_000,
  relegated: 32,
  allRelegatedMs: 1_000,
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
