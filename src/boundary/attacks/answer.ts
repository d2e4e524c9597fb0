/** Names for what the kernel answers. Never an error's message: it may quote what was read. */
import { getSystemErrorName } from 'node:util';
import { errorCode } from '../../domain/errors.ts';
import { NativeError } from '../../native/native.ts';
import type { Tries } from './types.ts';

/** The process ended between being listed and being attacked. */
const ENDED = ['ESRCH', 'ENOENT'];

/** `EACCES` and the like, for a Node error and a NativeError alike. */
export function errnoName(error: unknown): string {
  if (error instanceof NativeError) return error.errno === 0 ? 'unknown' : getSystemErrorName(-error.errno);
  return errorCode(error);
}

/** What an attack got where it should have got nothing; undefined where it got in and found nothing. */
export type Gain = string | undefined;

/**
 * Does what the kernel must refuse. `act` returns what it gained, in words that quote nothing; a refusal counts as
 * held only for one of the right reasons.
 */
export function attempt(
  tries: Tries,
  target: string,
  rightReasons: readonly string[],
  act: () => Gain,
): boolean {
  try {
    const gain = act();
    if (gain === undefined) {
      tries.held(target, 'allowed, but nothing exists');
      return false;
    }
    tries.broken(target, gain);
    return true;
  } catch (error) {
    const answer = errnoName(error);
    if (rightReasons.includes(answer)) tries.held(target, answer);
    else tries.unclear(target, answer);
    return false;
  }
}

/** As {@link attempt}, for a process, which may end meanwhile: that is no answer at all. */
export function attemptOnProcess(
  tries: Tries,
  target: string,
  rightReasons: readonly string[],
  act: () => Gain,
): void {
  attempt(
    {
      ...tries,
      unclear: (what, answer) => {
        if (!ENDED.includes(answer)) tries.unclear(what, answer);
      },
    },
    target,
    rightReasons,
    act,
  );
}
