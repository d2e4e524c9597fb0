import type { Round } from './stats.ts';

/** Runs both sides in turn; who is first alternates, so that neither always finds the machine as the other left it. */
export async function interleave<T>(
  rounds: number,
  sides: { readonly ours: () => Promise<T>; readonly baseline: () => Promise<T> },
  firstRound = 0,
): Promise<{ readonly ours: T; readonly baseline: T }[]> {
  const results: { ours: T; baseline: T }[] = [];
  for (let round = firstRound; round < firstRound + rounds; round++) {
    if (round % 2 === 0) {
      const ours = await sides.ours();
      results.push({ ours, baseline: await sides.baseline() });
    } else {
      const baseline = await sides.baseline();
      results.push({ ours: await sides.ours(), baseline });
    }
  }
  return results;
}

/** Makes each round's samples one number. */
export function reduce<T>(
  rounds: readonly { readonly ours: T; readonly baseline: T }[],
  of: (samples: T) => number,
): Round[] {
  return rounds.map(({ ours, baseline }) => ({ ours: of(ours), baseline: of(baseline) }));
}
