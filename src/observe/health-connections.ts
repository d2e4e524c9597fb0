/**
 * Who may hold a place on the health port, and for how long. Whoever shares the pod's network reaches it, the agent
 * included, so all that a connection can use up is bounded: places, time without a call, bytes sent, calls.
 *
 * Peers in our own network namespace and those outside have places and budgets of their own: whatever the agent
 * floods, the kubelet's are free. Within one of the two a newcomer takes the oldest place that has no call under way.
 */
import type { Socket } from 'node:net';
import { TokenBucket } from '../domain/limits.ts';

export interface HealthLimits {
  /** Connections open at once, of each of the two kinds of peer. The kubelet needs one for each probe. */
  readonly places: number;
  /** Connections of one kind a second that are heard in the long run: the kubelet makes three probes in 10 s. */
  readonly connectionsPerSecond: number;
  /** Connections of one kind that are heard at once after a quiet time: no more than places, so that none is lost at once. */
  readonly connectionBurst: number;
  /** Calls of one kind a second in the long run; a connection that makes more is closed. */
  readonly callsPerSecond: number;
  readonly callBurst: number;
  /** Milliseconds until the first call, or the connection is closed: the kubelet's own limit is 1 s. */
  readonly firstCallMs: number;
  /** Milliseconds without a call after the first. */
  readonly idleMs: number;
  /**
   * Bytes that a connection may send at once, and in the long run a second. A probe sends some 300. It also bounds
   * what never becomes a call: pings, settings, methods that do not exist.
   */
  readonly bytes: number;
  readonly bytesPerSecond: number;
}

export const HEALTH_LIMITS: HealthLimits = {
  places: 16,
  connectionsPerSecond: 5,
  connectionBurst: 16,
  callsPerSecond: 20,
  callBurst: 40,
  firstCallMs: 2_000,
  idleMs: 10_000,
  bytes: 4_096,
  bytesPerSecond: 512,
};

/** Milliseconds between two looks at open connections: what a peer can send beyond its bytes before it is closed. */
const SWEEP_MS = 25;

interface Place {
  readonly socket: Socket;
  readonly kind: Kind;
  readonly openedAt: number;
  calledAt: number | undefined;
  underWay: number;
}

/** What peers of one kind have in use. A Map keeps the order of insertion: the oldest place comes first. */
interface Kind {
  readonly places: Map<string, Place>;
  readonly accepted: TokenBucket;
  readonly calls: TokenBucket;
}

export interface HealthConnectionsOptions {
  readonly limits: HealthLimits;
  /** Whether the peer at this address shares our network. */
  readonly isOwn: (address: string | undefined) => boolean;
  /** Gives the connection to the gRPC server. */
  readonly inject: (socket: Socket) => void;
}

export class HealthConnections implements Disposable {
  readonly #options: HealthConnectionsOptions;
  readonly #own: Kind;
  readonly #outside: Kind;
  #sweep: NodeJS.Timeout | undefined;
  #next = 0;

  constructor(options: HealthConnectionsOptions) {
    this.#options = options;
    const kind = (): Kind => {
      const { connectionsPerSecond, connectionBurst, callsPerSecond, callBurst } = options.limits;
      const now = performance.now();
      return {
        places: new Map(),
        accepted: new TokenBucket(connectionsPerSecond, connectionBurst, now),
        calls: new TokenBucket(callsPerSecond, callBurst, now),
      };
    };
    this.#own = kind();
    this.#outside = kind();
  }

  get size(): number {
    return this.#own.places.size + this.#outside.places.size;
  }

  /** Takes a connection that was just accepted. */
  accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    const now = performance.now();
    const kind = this.#options.isOwn(socket.remoteAddress) ? this.#own : this.#outside;
    if (!kind.accepted.take(now)) {
      // With a reset: a flood leaves no sockets in TIME_WAIT behind.
      socket.resetAndDestroy();
      return;
    }
    if (kind.places.size >= this.#options.limits.places) evict(kind);
    this.#next += 1;
    const tag = `health:${this.#next}`;
    const place = { socket, kind, openedAt: now, calledAt: undefined, underWay: 0 };
    kind.places.set(tag, place);
    socket.once('close', () => {
      kind.places.delete(tag);
      if (this.size > 0) return;
      clearInterval(this.#sweep);
      this.#sweep = undefined;
    });
    // grpc-js shows a call's peer as address and port of its socket. Not documented: a test pins it.
    Object.defineProperties(socket, { remoteAddress: { value: tag }, remotePort: { value: undefined } });
    this.#sweep ??= setInterval(() => this.#closeWhoTakesTooMuch(), SWEEP_MS).unref();
    this.#options.inject(socket);
  }

  /** A call began on the connection that `call.getPeer()` names. False where it is one too many: the connection is closed. */
  began(tag: string): boolean {
    const place = this.#own.places.get(tag) ?? this.#outside.places.get(tag);
    if (place === undefined) return false;
    const now = performance.now();
    if (!place.kind.calls.take(now)) {
      place.socket.destroy();
      return false;
    }
    place.calledAt = now;
    return true;
  }

  /** A stream of the connection stays open until the returned function is called. */
  holds(tag: string): () => void {
    const place = this.#own.places.get(tag) ?? this.#outside.places.get(tag);
    if (place === undefined) return () => {};
    place.underWay += 1;
    return () => {
      place.underWay -= 1;
      place.calledAt = performance.now();
    };
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#all()) socket.destroy();
  }

  #all(): Place[] {
    return [...this.#own.places.values(), ...this.#outside.places.values()];
  }

  #closeWhoTakesTooMuch(): void {
    const now = performance.now();
    const { firstCallMs, idleMs, bytes, bytesPerSecond } = this.#options.limits;
    for (const { socket, openedAt, calledAt, underWay } of this.#all()) {
      const idle =
        calledAt === undefined ? now - openedAt > firstCallMs : underWay === 0 && now - calledAt > idleMs;
      const allowed = bytes + ((now - openedAt) / 1_000) * bytesPerSecond;
      if (idle || socket.bytesRead > allowed) socket.destroy();
    }
  }
}

/** Makes room: the oldest connection goes that has no call under way, and the oldest of all where each has one. */
function evict(kind: Kind): void {
  const places = [...kind.places];
  const [tag, place] = places.find(([, { underWay }]) => underWay === 0) ?? places[0] ?? [];
  if (tag === undefined || place === undefined) return;
  kind.places.delete(tag);
  place.socket.destroy();
}
