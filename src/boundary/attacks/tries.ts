/** What an attack reports. */
import { errorCode } from '../../domain/errors.ts';

/**
 * What became of one try.
 * - `held`: refused, and by the fence that is meant to refuse it.
 * - `broken`: something was obtained, or could be changed.
 * - `unclear`: it failed, but not at the fence that is meant to stop it; the next change may let it through.
 */
export type Verdict = 'held' | 'broken' | 'unclear';

/** One try. Nothing in it was read from what the try obtained but a length. */
export interface Try {
  /** What was attacked: a path, a process, an address. */
  readonly target: string;
  /** What the kernel or the other side answered: `EACCES`, `connection closed before any byte`. */
  readonly answer: string;
  readonly verdict: Verdict;
}

const WORST_FIRST: readonly Verdict[] = ['broken', 'unclear', 'held'];

/** The process ended between being listed and being attacked. */
const ENDED = ['ESRCH', 'ENOENT'];

/** What an attack got where it should have got nothing; undefined where it got in and found nothing. */
export type Gain = string | undefined;

/** Takes what an attack reports. `rightReasons`: the answers that count as `held`. */
export class Tries {
  readonly #rightReasons: readonly string[];
  readonly #made: Try[] = [];
  /** Why there was nothing to attack. */
  absent = 'nothing to attack';

  constructor(rightReasons: readonly string[]) {
    this.#rightReasons = rightReasons;
  }

  held(target: string, answer: string): void {
    this.#made.push({ target, answer, verdict: 'held' });
  }

  broken(target: string, answer: string): void {
    this.#made.push({ target, answer, verdict: 'broken' });
  }

  unclear(target: string, answer: string): void {
    this.#made.push({ target, answer, verdict: 'unclear' });
  }

  /** Says why there is nothing to attack. Counts only where nothing was tried. */
  notApplicable(reason: string): void {
    this.absent = reason;
  }

  /** A refusal, which counts as held only for one of the right reasons. */
  refused(target: string, answer: string, rightReasons = this.#rightReasons): void {
    if (rightReasons.includes(answer)) this.held(target, answer);
    else this.unclear(target, answer);
  }

  /**
   * Does what the kernel must refuse, and says whether it did not. `act` returns what it gained, in words that quote
   * nothing.
   */
  attempt(target: string, act: () => Gain, rightReasons = this.#rightReasons): boolean {
    try {
      const gain = act();
      if (gain === undefined) this.held(target, 'allowed, but nothing exists');
      else this.broken(target, gain);
      return gain !== undefined;
    } catch (error) {
      this.refused(target, errorCode(error), rightReasons);
      return false;
    }
  }

  /** As {@link attempt}, for a process, which may end meanwhile: that is no answer at all. */
  attemptOnProcess(target: string, act: () => Gain, rightReasons = this.#rightReasons): void {
    this.attempt(target, act, rightReasons);
    const last = this.#made.at(-1);
    if (last?.verdict === 'unclear' && ENDED.includes(last.answer)) this.#made.pop();
  }

  /** All of them, the worst first. */
  get worstFirst(): Try[] {
    return this.#made.toSorted((a, b) => WORST_FIRST.indexOf(a.verdict) - WORST_FIRST.indexOf(b.verdict));
  }
}
