/**
 * Rate limit for refused connections. The agent can open thousands a second; each UID and reason gets a few
 * records, and then one record a period that counts what was left out. Nothing else may grow: the number of
 * UIDs that are kept is bounded too.
 */
import type { AuditedCaller } from './record.ts';

/** Records of one UID and reason that are written as they come, in one period. */
export const RECORDS_PER_PERIOD = 5;
/** Milliseconds of a period. */
export const PERIOD_MS = 10_000;
/** UIDs and reasons kept apart. A user namespace gives an attacker more UIDs than we want to remember. */
const MAX_KEPT = 256;

type Emit = (caller: AuditedCaller, reason: string, leftOut: number) => void;

interface Kept {
  caller: AuditedCaller;
  readonly reason: string;
  written: number;
  leftOut: number;
}

export class RefusedPeers implements Disposable {
  readonly #emit: Emit;
  readonly #kept = new Map<string, Kept>();
  #timer: NodeJS.Timeout | undefined;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  add(caller: AuditedCaller, reason: string): void {
    const id = this.#kept.size < MAX_KEPT ? `${caller.uid} ${reason}` : 'others';
    let kept = this.#kept.get(id);
    if (kept === undefined) {
      kept = { caller, reason, written: 0, leftOut: 0 };
      this.#kept.set(id, kept);
    }
    if (kept.written < RECORDS_PER_PERIOD) {
      kept.written += 1;
      this.#emit(caller, reason, 0);
    } else {
      kept.leftOut += 1;
      kept.caller = caller;
    }
    this.#timer ??= setTimeout(() => this.#flush(), PERIOD_MS).unref();
  }

  [Symbol.dispose](): void {
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { caller, reason, leftOut } of this.#kept.values()) {
      if (leftOut > 0) this.#emit(caller, reason, leftOut);
    }
    this.#kept.clear();
  }
}
