/** Statistics over samples. Pure. */
import { linearRegression, median, quantile } from 'simple-statistics';

/** A median with the quartiles around it. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** One round: both sides measured right after one another, in whichever order. */
export interface Round {
  readonly ours: number;
  readonly baseline: number;
}

/** All rounds of one figure. */
export interface Comparison extends Round {
  /** Of the rounds' ratios, so that what slows both sides of a round down cancels out. */
  readonly ratio: Spread;
  readonly rounds: number;
}

/** The sample below which `percent` of all lie. */
export function percentile(samples: readonly number[], percent: number): number {
  return quantile([...samples], percent / 100);
}

export function spread(samples: readonly number[]): Spread {
  return { median: percentile(samples, 50), low: percentile(samples, 25), high: percentile(samples, 75) };
}

export function compare(rounds: readonly Round[]): Comparison {
  return {
    ours: median(rounds.map(({ ours }) => ours)),
    baseline: median(rounds.map(({ baseline }) => baseline)),
    ratio: spread(rounds.map(({ ours, baseline }) => ours / baseline)),
    rounds: rounds.length,
  };
}

/** k of `cost = c × size^k`, by least squares on the logarithms. */
export function exponent(points: readonly { readonly size: number; readonly cost: number }[]): number {
  return linearRegression(points.map(({ size, cost }) => [Math.log(size), Math.log(cost)])).m;
}

/** By how much the line through the last half of a series rises over that half, as a share of its median. */
export function growthOfLastHalf(series: readonly number[]): number {
  const half = series.slice(Math.floor(series.length / 2));
  const { m } = linearRegression(half.map((value, index) => [index, value]));
  return (m * (half.length - 1)) / median(half);
}
