/**
 * Rate limit for records of refusals. The agent can open thousands of connections a second, and a listed peer can
 * make as many calls that are refused; each UID and reason gets a few records, and then one record a period that
 * counts what was left out. Nothing else may grow: the number of
 * UIDs that are kept is bounded too.
 */
import type { AuditedCaller } from './record.ts';

/** Records of one UID and reason that are written as they come, in one period. */
export const RECORDS_PER_PERIOD = 5;
/** The same for refused calls of listed peers, which are fewer and say more. */
export const DENIED_PER_PERIOD = 50;
/** Milliseconds of a period. */
export const PERIOD_MS = 10_000;
/** UIDs and reasons kept apart. A user namespace gives an attacker more UIDs than we want to remember. */
const MAX_KEPT = 256;

const OTHERS = 'others';
/** Stands in a count of several UIDs: naming one of them would accuse it of all. */
const MIXED = {
  caller: { name: undefined, uid: undefined, gid: undefined, pid: undefined, exe: undefined },
  reason: 'several UIDs and reasons',
} as const;

type Emit = (caller: AuditedCaller, reason: string, leftOut: number) => void;

interface Kept {
  readonly caller: AuditedCaller;
  readonly reason: string;
  written: number;
  leftOut: number;
}

export class RefusedPeers implements Disposable {
  readonly #emit: Emit;
  readonly #kept = new Map<string, Kept>();
  #timer: NodeJS.Timeout | undefined;

  readonly #perPeriod: number;

  constructor(emit: Emit, perPeriod = RECORDS_PER_PERIOD) {
    this.#emit = emit;
    this.#perPeriod = perPeriod;
  }

  /** Writes a record, by `write` where the reason alone does not say it all, or counts it. */
  add(caller: AuditedCaller, reason: string, write: () => void = () => this.#emit(caller, reason, 0)): void {
    const kept = this.#keptFor(`${caller.uid} ${reason}`, caller, reason);
    if (kept.written < this.#perPeriod) {
      kept.written += 1;
      write();
    } else {
      kept.leftOut += 1;
    }
    this.#timer ??= setTimeout(() => this.#flush(), PERIOD_MS).unref();
  }

  /** What is known of a UID and reason. Beyond the bound all that are new are counted together, under no name. */
  #keptFor(id: string, caller: AuditedCaller, reason: string): Kept {
    const known = this.#kept.get(id);
    if (known !== undefined) return known;
    const full = this.#kept.size >= MAX_KEPT;
    const shared = full ? this.#kept.get(OTHERS) : undefined;
    if (shared !== undefined) return shared;
    const kept = { ...(full ? MIXED : { caller, reason }), written: 0, leftOut: 0 };
    this.#kept.set(full ? OTHERS : id, kept);
    return kept;
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
