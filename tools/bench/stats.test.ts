import { expect, it } from 'vitest';
import { compare, exponent, growthOfLastHalf, percentile, spread } from './stats.ts';

it('a percentile is a sample, and the largest at 100', () => {
  const samples = [5, 1, 4, 2, 3];
  expect(percentile(samples, 50)).toBe(3);
  expect(percentile(samples, 100)).toBe(5);
  expect(percentile(samples, 0)).toBe(1);
  expect(samples).toEqual([5, 1, 4, 2, 3]);
});

it('quartiles stand around the median', () => {
  expect(spread([1, 2, 3, 4, 5, 6, 7, 8, 9])).toEqual({ median: 5, low: 3, high: 7 });
});

it('the ratio is the median of the rounds’ ratios: one round in which both sides were slow changes nothing', () => {
  const quiet = Array.from({ length: 4 }, () => ({ ours: 11, baseline: 10 }));
  const { ratio, rounds } = compare([...quiet, { ours: 1_100, baseline: 1_000 }]);
  expect(ratio.median).toBeCloseTo(1.1);
  expect(ratio.high - ratio.low).toBeCloseTo(0);
  expect(rounds).toBe(5);
});

it('finds the exponent of a power law', () => {
  const points = [10, 100, 1_000, 10_000].map((size) => ({ size, cost: 3 * size ** 1.25 }));
  expect(exponent(points)).toBeCloseTo(1.25);
  expect(exponent(points.map(({ size }) => ({ size, cost: 7 })))).toBeCloseTo(0);
});

it('growth looks at the last half alone', () => {
  const rising = Array.from({ length: 50 }, (_, index) => 50 + index);
  const flat = Array.from({ length: 50 }, () => 100);
  expect(growthOfLastHalf([...rising, ...flat])).toBeCloseTo(0);
  // From 100 to 149 around a median of 124.5.
  expect(growthOfLastHalf([...flat, ...rising.map((value) => value + 50)])).toBeCloseTo(49 / 124.5);
  expect(growthOfLastHalf([...flat, ...rising.map((value) => 200 - value)])).toBeLessThan(0);
});
