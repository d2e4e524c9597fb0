import type { Distribution } from './figure.ts';
import { percentile } from './stats.ts';

/** Percentiles that a distribution is thinned out to. */
export const PERCENTS: readonly number[] = [...Array.from({ length: 99 }, (_, index) => index + 1), 99.9];

export function distribution(
  about: Omit<Distribution, 'ours' | 'baselines'>,
  rounds: readonly { readonly ours: readonly number[]; readonly baseline: readonly number[] }[],
): Distribution {
  const of = (samples: readonly number[]) =>
    PERCENTS.map((percent) => Number(percentile(samples, percent).toPrecision(4)));
  return {
    ...about,
    ours: of(rounds.flatMap(({ ours }) => ours)),
    baselines: of(rounds.flatMap(({ baseline }) => baseline)),
  };
}
