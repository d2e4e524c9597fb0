import { compare, type Round } from './stats.ts';

/** Runs all sides in turn; the order is turned round each time, so that none always finds the machine as another left it. */
export async function interleave<T, Side extends string>(
  rounds: number,
  sides: Readonly<Record<Side, () => Promise<T>>>,
  firstRound = 0,
): Promise<Readonly<Record<Side, T>>[]> {
  const names = Object.keys(sides) as Side[];
  const results: Readonly<Record<Side, T>>[] = [];
  for (let round = firstRound; round < firstRound + rounds; round++) {
    const measured = new Map<Side, T>();
    for (const side of round % 2 === 0 ? names : names.toReversed()) measured.set(side, await sides[side]());
    results.push(Object.fromEntries(measured) as Record<Side, T>);
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

/** The ratio of the floor to the baseline. */
export function floorRatio<T>(
  rounds: readonly { readonly floor: T; readonly baseline: T }[],
  of: (samples: T) => number,
): number {
  const sides = rounds.map(({ floor, baseline }) => ({ ours: floor, baseline }));
  return compare(reduce(sides, of)).ratio.median;
}
