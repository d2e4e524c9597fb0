/**
 * Holds one UID back by not reading from its connections. What is not read is not parsed, and waits in the kernel at
 * the peer's expense. While a connection is held back nothing is noticed of it, so one whose peer has hung up
 * meanwhile is closed, with all that it had queued, before it is read again.
 */
import type { Limits } from '../domain/limits.ts';

/** Milliseconds that a UID is not read after it made a call too many. */
const PENALTY_MS = 250;
/** Milliseconds between two looks at bytes read: in a flood, and otherwise. */
const SWEEP_MS = { busy: 25, idle: 1_000 } as const;

/** A connection that can be held back, and is the key to what is known of it. */
export interface Readable {
  readonly bytesRead: number;
  readonly hungUp: () => boolean;
  readonly stop: () => void;
  readonly resume: () => void;
  readonly close: () => void;
}

/** What a connection had read at the last sweep, and the bytes of its messages that are not complete. */
interface Taken {
  read: number;
  unfinished: number;
}

export class Throttle {
  readonly #limits: Limits;
  readonly #inbound: { readonly crowded: boolean };
  readonly #connections = new Map<Readable, Taken>();
  /** The one connection that is read while the UID's unfinished messages are many. */
  #alone: Readable | undefined;
  #turn = 0;
  #turnEnds: NodeJS.Immediate | undefined;
  #resume: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;
  #sweptAt = 0;
  /** Bytes counted since the last sweep, which finds them again. */
  #counted = 0;
  #bytesAllowed: number;

  constructor(limits: Limits, inbound: { readonly crowded: boolean }) {
    this.#limits = limits;
    this.#inbound = inbound;
    this.#bytesAllowed = limits.inboundBytesPerSecond;
  }

  add(connection: Readable): void {
    this.#connections.set(connection, { read: 0, unfinished: 0 });
    if (this.#resume !== undefined || this.#alone !== undefined) connection.stop();
    if (this.#sweep !== undefined) return;
    this.#sweptAt = performance.now();
    this.#schedule(SWEEP_MS.idle);
  }

  delete(connection: Readable): void {
    this.#connections.delete(connection);
    if (connection === this.#alone) this.#takeTurns();
    if (this.#connections.size > 0) return;
    clearTimeout(this.#sweep);
    this.#sweep = undefined;
  }

  /** A call began. One too many in a turn of the event loop waits for the next turn, and the others with it. */
  began(calls = 1): void {
    this.#turn += calls;
    this.#turnEnds ??= setImmediate(() => {
      this.#turnEnds = undefined;
      const stopped = this.#turnIsOver;
      this.#turn = 0;
      if (stopped) this.#read();
    });
    if (this.#turnIsOver) this.#stop();
  }

  get #turnIsOver(): boolean {
    return this.#turn > this.#limits.requestsPerTurn;
  }

  /**
   * A connection holds more bytes of messages that are not complete than before, or fewer. Where the UID holds many, its
   * connections are read one after the other, each until its messages are complete: read in turns, all of them would
   * begin messages and have no room to end one. Envoy begins as many as it has secrets.
   */
  holds(connection: Readable, bytes: number): void {
    const taken = this.#connections.get(connection);
    if (taken !== undefined) taken.unfinished += bytes;
    const { crowded } = this.#inbound;
    const done = this.#alone === connection && taken?.unfinished === 0;
    if (crowded ? this.#alone === undefined || done : this.#alone !== undefined) this.#takeTurns();
  }

  #takeTurns(): void {
    const [next] = [...this.#connections].find(([, { unfinished }]) => unfinished > 0) ?? [];
    this.#alone = this.#inbound.crowded ? next : undefined;
    this.#stop();
    this.#read();
  }

  /** Whether nothing is read at present. What was read before may still come in. */
  get paused(): boolean {
    return this.#resume !== undefined;
  }

  penalise(): void {
    this.#pause(PENALTY_MS);
  }

  #pause(ms: number): void {
    this.#stop();
    this.#resume ??= setTimeout(() => {
      this.#resume = undefined;
      this.#read();
    }, ms).unref();
  }

  #stop(): void {
    for (const connection of this.#connections.keys()) connection.stop();
  }

  /** Reads again what nothing holds back. */
  #read(): void {
    if (this.paused || this.#turnIsOver) return;
    for (const connection of [...this.#connections.keys()]) {
      if (connection.hungUp()) connection.close();
      else if (this.#alone === undefined || this.#alone === connection) connection.resume();
    }
  }

  #schedule(ms: number): void {
    this.#sweep = setTimeout(() => this.#sweepBytes(), ms).unref();
  }

  /** Bytes of a request came in. The sweep finds them too, but a flood of them must not have until then. */
  received(bytes: number, weight: number): void {
    this.#counted += bytes;
    this.#spend(bytes * weight);
  }

  #spend(bytes: number): void {
    const { inboundBytesPerSecond } = this.#limits;
    // However much was read at once, the UID is read again within a second.
    this.#bytesAllowed = Math.max(this.#bytesAllowed - bytes, -inboundBytesPerSecond);
    if (this.#bytesAllowed < 0) this.#pause((-this.#bytesAllowed / inboundBytesPerSecond) * 1_000);
  }

  /** Bounds what never becomes a call: pings, settings, window updates. Closes what HTTP/2 did not notice the end of. */
  #sweepBytes(): void {
    const { inboundBytesPerSecond } = this.#limits;
    const now = performance.now();
    let read = 0;
    for (const [connection, taken] of this.#connections) {
      read += connection.bytesRead - taken.read;
      taken.read = connection.bytesRead;
      if (connection.hungUp()) connection.close();
    }
    const refill = ((now - this.#sweptAt) / 1_000) * inboundBytesPerSecond;
    this.#sweptAt = now;
    this.#bytesAllowed = Math.min(inboundBytesPerSecond, this.#bytesAllowed + refill);
    this.#spend(Math.max(0, read - this.#counted));
    this.#counted = 0;
    this.#schedule(this.#bytesAllowed < inboundBytesPerSecond / 2 ? SWEEP_MS.busy : SWEEP_MS.idle);
  }
}
