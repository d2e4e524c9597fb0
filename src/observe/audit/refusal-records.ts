/**
 * Rate limit for records of refusals. The agent can open thousands of connections a second, and a listed peer can
 * make as many calls that are refused; each UID and reason gets a few records, and then one record a period that counts
 * what was left out. The number of UIDs that are kept is bounded too.
 */
import { type AuditedCall, type AuditedCaller, NOBODY } from './record.ts';

/** Records of one UID and reason that are written as they come, in one period. */
export const RECORDS_PER_PERIOD = 5;
/** The same for refused calls of listed peers, which are fewer and say more. */
export const DENIED_PER_PERIOD = 50;
export const PERIOD_MS = 10_000;
/** UIDs and reasons kept apart. A user namespace gives an attacker more UIDs than we want to remember. */
const MAX_KEPT = 256;

const OTHERS = 'others';
/** Stands in a count of several UIDs: naming one of them would accuse it of all. */
const MIXED = { caller: NOBODY, reason: 'several UIDs and reasons' } as const;

interface Refusal {
  readonly call: AuditedCall;
  readonly caller: AuditedCaller;
  readonly reason: string;
}

interface Kept extends Refusal {
  written: number;
  leftOut: number;
}

interface Options {
  readonly write: (refusal: Refusal, facts: Readonly<Record<string, unknown>>) => void;
  readonly perPeriod: number;
  /** Stands for the calls of several UIDs. */
  readonly several: AuditedCall;
}

export class RefusalRecords implements Disposable {
  readonly #options: Options;
  readonly #kept = new Map<string, Kept>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  add(refusal: Refusal, facts: Readonly<Record<string, unknown>> = {}): void {
    const kept = this.#keptFor(refusal);
    if (kept.written < this.#options.perPeriod) {
      kept.written += 1;
      this.#options.write(refusal, facts);
    } else {
      kept.leftOut += 1;
    }
    this.#timer ??= setTimeout(() => this.#flush(), PERIOD_MS).unref();
  }

  /** What is known of a UID, call and reason. Beyond the bound all that are new are counted together, under no name. */
  #keptFor(refusal: Refusal): Kept {
    const { call, caller, reason } = refusal;
    const id = `${caller.uid} ${call.service}/${call.operation} ${reason}`;
    const known = this.#kept.get(id);
    if (known !== undefined) return known;
    const full = this.#kept.size >= MAX_KEPT;
    const shared = full ? this.#kept.get(OTHERS) : undefined;
    if (shared !== undefined) return shared;
    const kept = {
      ...refusal,
      ...(full && { ...MIXED, call: this.#options.several }),
      written: 0,
      leftOut: 0,
    };
    this.#kept.set(full ? OTHERS : id, kept);
    return kept;
  }

  [Symbol.dispose](): void {
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const kept of this.#kept.values()) {
      if (kept.leftOut > 0) this.#options.write(kept, { left_out: kept.leftOut });
    }
    this.#kept.clear();
  }
}
