import { expect, it } from 'vitest';
import { ratioRow, runOf, valueRow } from './rows.ts';
import { missed } from './run.ts';
import { comparisonRow, judge } from './verdict.ts';

const FULL = { quick: false, tolerance: 1 };
const QUICK = { quick: true, tolerance: 1.5 };

it('a ratio is held against its bar, the bar included', () => {
  expect(judge(ratioRow(3, 3), FULL)).toBe('met');
  expect(judge(ratioRow(3.01, 3), FULL)).toBe('missed');
});

it('the tolerance widens the bar', () => {
  expect(judge(ratioRow(4.5, 3), QUICK)).toBe('met');
  expect(judge(ratioRow(4.51, 3), QUICK)).toBe('missed');
});

it('a short run takes the floor for the bar where that is above it, and a full one never', () => {
  const floored = (ratio: number, floor: number) => ({
    ...ratioRow(ratio, 3),
    floor: { name: 'x', value: floor },
  });
  expect(judge(floored(6, 4), QUICK)).toBe('met');
  expect(judge(floored(6.01, 4), QUICK)).toBe('missed');
  expect(judge(floored(4.51, 2), QUICK)).toBe('missed');
  expect(judge(floored(3.01, 4), FULL)).toBe('missed');
});

it('a value is held against its bar in a full run, and not judged in a short one where it means nothing', () => {
  expect(judge(valueRow(0.19, 0.2), FULL)).toBe('met');
  expect(judge(valueRow(0.21, 0.2), FULL)).toBe('missed');
  expect(judge(valueRow(100, 0.2), QUICK)).toBe('not judged');
});

it('a row without a bar is context, and one without a number is a miss', () => {
  expect(judge(ratioRow(12), FULL)).toBe('not judged');
  expect(judge(ratioRow(Number.NaN, 3), FULL)).toBe('missed');
  const { ratio: _, ...withoutRatio } = ratioRow(1, 3);
  expect(judge(withoutRatio, FULL)).toBe('missed');
});

it('a run names what it missed, and what it could not measure', () => {
  const run = runOf([ratioRow(2, 3), valueRow(1, 0.2)], { failures: [{ figure: 'scaling', message: 'x' }] });
  expect(missed(run)).toEqual(['cpu', 'scaling']);
});

it('a comparison becomes a row', () => {
  const ratio = { median: 2, low: 1.5, high: 2.5 };
  expect(
    comparisonRow(
      { id: 'a', figure: 'b', unit: 'ms', baseline: 'c' },
      { ours: 4, baseline: 2, ratio, rounds: 7 },
    ),
  ).toEqual({
    id: 'a',
    figure: 'b',
    unit: 'ms',
    ours: 4,
    baseline: { name: 'c', value: 2 },
    ratio,
    rounds: 7,
  });
});
