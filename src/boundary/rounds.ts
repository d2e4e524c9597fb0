/**
 * When the boundary is checked, and what a round of checks decides: at the start, at least every 15 s, and for each new
 * UID.
 *
 * A round reads everything once. Where all that fails is explained by an exec, the processes that it fails for are
 * read again every 100 ms: one that is gone, or has become something else, breaks nothing; one that stays does.
 *
 * Nothing is checked any more once it is broken or stopped: the caller stops serving and ends.
 */
import { errorCode, isShortage } from '../domain/errors.ts';
import { RUNTIME_INIT_MS } from '../domain/runtimes.ts';
import type { Facts } from './facts/facts.ts';
import type { ProcessFacts } from './facts/facts-processes.ts';
import type { Finding } from './finding.ts';
import { breaches, mayPassByThemselves } from './verdict.ts';

/**
 * Milliseconds between two rounds. With {@link CONFIRM_MS} and the scan itself, some 60 µs of CPU time for each process
 * and thread of the pod, an intruder that stays ends the resolver within 15 s.
 */
export const ROUND_INTERVAL_MS = 12_500;
/** Milliseconds between two readings of a suspect. */
const CONFIRM_EVERY_MS = 100;
/** Milliseconds for which a suspect may stay. An exec takes some hundred on a busy node. */
export const CONFIRM_MS = 2_000;
/** Rounds in a row whose suspects may all be gone in a moment: whoever keeps forking is a new process each time. */
const EXCUSED_ROUNDS = 3;
/** Rounds at the start, until one finds nothing. Nothing is served yet. */
const ROUNDS_AT_START = 3;
/** Milliseconds from a UID's first connection to the round that it causes: its first call is answered meanwhile. */
const NEW_UID_DELAY_MS = 50;
/**
 * Intervals that a shortage of ours may last: it tells nothing about the boundary, and ending at once would let
 * whoever causes it end the resolver.
 */
const SHORTAGE_INTERVALS = 1.5;
/** A round that fails for a shortage of ours (descriptors, memory) is tried once more after this many milliseconds. */
const RETRY_AFTER_MS = 500;

export interface Round {
  readonly facts: Facts;
  readonly findings: readonly Finding[];
  /** Enforced checks that fail. */
  readonly broken: readonly Finding[];
  /** Enforced checks that failed for processes that were gone in a moment. */
  readonly passed: readonly Finding[];
}

export interface RoundsOptions {
  /** Takes all facts; `earlier` are those of the round before. */
  readonly look: (earlier: Facts | undefined) => Promise<Facts>;
  /** Reads these processes again. */
  readonly lookAgain: (facts: Facts, suspects: readonly ProcessFacts[]) => Promise<Facts>;
  readonly judge: (facts: Facts) => readonly Finding[];
  /** Ends the rounds. */
  readonly signal: AbortSignal;
  /** Rounds go on, and nothing that they find ends them. */
  readonly relaxed: boolean;
}

export interface RoundsEvents {
  /** Called after each round. */
  readonly onRound?: (round: Round) => void;
  readonly onPassed?: (passed: readonly Finding[]) => void;
  /** Called once, with the enforced checks that fail. Never called with `relaxed`. */
  readonly onBroken: (broken: readonly Finding[]) => void;
}

export class Rounds {
  readonly #options: RoundsOptions;
  #broken = false;
  #earlier: Facts | undefined;
  /** When the next round is due. */
  #due = Number.POSITIVE_INFINITY;
  #wake: () => void = () => {};
  #excused = 0;
  #shortSince: number | undefined;

  constructor(options: RoundsOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  /** The start: rounds until one finds nothing, or something that stays. Its `passed` are those of all rounds. */
  async prove(): Promise<Round> {
    const passed = new Map<string, Finding>();
    for (let at = 1; ; at++) {
      const round = await this.#round();
      for (const finding of round.passed) passed.set(finding.id, finding);
      if (round.broken.length > 0) return round;
      if (round.passed.length === 0) return { ...round, passed: [...passed.values()] };
      if (at === ROUNDS_AT_START || this.#options.signal.aborted) {
        return { ...round, broken: round.passed, passed: [] };
      }
    }
  }

  /** Goes on until the boundary is broken or the signal comes. Never rejects. */
  async run(events: RoundsEvents): Promise<void> {
    if (this.#due === Number.POSITIVE_INFINITY) this.#due = performance.now() + ROUND_INTERVAL_MS;
    while (!this.#ended) {
      await this.#until(() => this.#due);
      if (!this.#ended) await this.#once(events);
    }
  }

  /**
   * A round soon: a UID was seen that was not seen before. All who ask share it, so that no client can make us scan /proc
   * in a queue, and it follows the one that has already begun, which may have passed a newcomer by.
   */
  checkSoon(): void {
    this.#dueBy(performance.now() + NEW_UID_DELAY_MS);
  }

  get #ended(): boolean {
    return this.#broken || this.#options.signal.aborted;
  }

  async #once({ onRound, onPassed, onBroken }: RoundsEvents): Promise<void> {
    const end = (broken: readonly Finding[]) => {
      if (broken.length === 0 || this.#ended || this.#options.relaxed) return;
      this.#broken = true;
      onBroken(broken);
    };
    let round: Round;
    try {
      round = await this.#round();
    } catch (error) {
      if (!this.#isExcusedShortage(error)) end([factsMissing(error)]);
      return;
    }
    if (this.#ended) return;
    this.#shortSince = undefined;
    this.#excused = round.passed.length > 0 ? this.#excused + 1 : 0;
    if (round.passed.length > 0) onPassed?.(round.passed);
    onRound?.(round);
    end(this.#excused > EXCUSED_ROUNDS ? round.passed : round.broken);
  }

  async #round(): Promise<Round> {
    const { judge, relaxed } = this.#options;
    this.#due = performance.now() + ROUND_INTERVAL_MS;
    const facts = await this.#facts();
    // By then, what is still entering a container is no container runtime.
    if (facts.processes.others.some(({ runtimeInit }) => runtimeInit)) {
      this.#dueBy(performance.now() + RUNTIME_INIT_MS);
    }
    const findings = judge(facts);
    const broken = breaches(findings);
    const seen: Round = { facts, findings, broken, passed: [] };
    return relaxed || !mayPassByThemselves(broken) ? seen : this.#confirm(seen);
  }

  /** Reads the suspects again until none is left, or one has stayed. Where the signal comes first, what was seen stands. */
  async #confirm(seen: Round): Promise<Round> {
    const { judge, lookAgain, signal } = this.#options;
    const until = performance.now() + CONFIRM_MS;
    const suspects = this.#suspects(seen.facts);
    for (;;) {
      const at = performance.now() + CONFIRM_EVERY_MS;
      await this.#until(() => at);
      if (signal.aborted) return seen;
      const facts = await lookAgain(seen.facts, suspects);
      const findings = judge(facts);
      const broken = breaches(findings);
      if (broken.length === 0) return { facts, findings, broken, passed: seen.broken };
      if (at >= until) return { facts, findings, broken, passed: [] };
    }
  }

  /** The processes for which alone an enforced check fails. */
  #suspects(facts: Facts): ProcessFacts[] {
    return facts.processes.others.filter((one) => {
      const alone = { ...facts, processes: { ...facts.processes, others: [one] } };
      return breaches(this.#options.judge(alone)).length > 0;
    });
  }

  async #facts(): Promise<Facts> {
    const { look } = this.#options;
    const facts = await look(this.#earlier).catch(async () => {
      const at = performance.now() + RETRY_AFTER_MS;
      await this.#until(() => at);
      return look(this.#earlier);
    });
    this.#earlier = facts;
    return facts;
  }

  #isExcusedShortage(error: unknown): boolean {
    if (!isShortage(errorCode(error))) return false;
    const now = performance.now();
    this.#shortSince ??= now;
    return now - this.#shortSince < SHORTAGE_INTERVALS * ROUND_INTERVAL_MS;
  }

  #dueBy(time: number): void {
    if (time >= this.#due) return;
    this.#due = time;
    this.#wake();
  }

  /** Waits for a time that may come nearer meanwhile, or for the signal. */
  #until(time: () => number): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const arm = () => {
        clearTimeout(timer);
        const ms = time() - performance.now();
        if (ms > 0 && !this.#options.signal.aborted) {
          timer = setTimeout(arm, ms);
          return;
        }
        this.#wake = () => {};
        resolve();
      };
      this.#wake = arm;
      arm();
    });
  }
}

/** Facts that cannot be taken prove nothing. */
function factsMissing(error: unknown): Finding {
  return {
    id: 'process-view',
    severity: 'enforce',
    outcome: 'unknown',
    evidence: `facts could not be taken: ${errorCode(error)}`,
    remedy: 'securityContext.procMount: Default',
  };
}
