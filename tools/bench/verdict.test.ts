import { expect, it } from 'vitest';
import { ratioRow, runOf, valueRow } from './rows.ts';
import { missed } from './run.ts';
import { comparisonRow, judge, missingRow } from './verdict.ts';

const FULL = { quick: false, tolerance: 1 };
const QUICK = { quick: true, tolerance: 1.5 };

it('a ratio is held against its bar, the bar included', () => {
  expect(judge(ratioRow(3, 3), FULL)).toBe('met');
  expect(judge(ratioRow(3.01, 3), FULL)).toBe('missed');
});

it('the tolerance widens the bar', () => {
  expect(judge(ratioRow(3, 3), QUICK)).toBe('met');
  expect(judge(ratioRow(4.5, 3), QUICK)).toBe('tolerated');
  expect(judge(ratioRow(4.51, 3), QUICK)).toBe('missed');
});

it('a short run takes what the last full run came to, where that is above the bar, and a full one never', () => {
  const recorded = { start: 4 };
  expect(judge(ratioRow(6, 3), { ...QUICK, recorded })).toBe('tolerated');
  expect(judge(ratioRow(6.01, 3), { ...QUICK, recorded })).toBe('missed');
  expect(judge(ratioRow(4.51, 3), { ...QUICK, recorded: { start: 2, cpu: 9 } })).toBe('missed');
  expect(judge(ratioRow(3.01, 3), { ...FULL, recorded })).toBe('missed');
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

it('a row without its program is no miss of a short run, and one of a full run', () => {
  const row = missingRow(
    { id: 'spire', figure: 'RSS', unit: 'MiB', bar: { on: 'ratio', atMost: 1 } },
    'give a path',
  );
  expect(judge(row, QUICK)).toBe('not measured');
  expect(missed(runOf([row], QUICK))).toEqual([]);
  expect(missed(runOf([row]))).toEqual(['spire']);
  const { bar: _, ...context } = row;
  expect(missed(runOf([context]))).toEqual([]);
});

it('a run names what it missed, and what it could not measure', () => {
  const run = runOf([ratioRow(2, 3), valueRow(1, 0.2)], { failures: [{ figure: 'scaling', message: 'x' }] });
  expect(missed(run)).toEqual(['cpu', 'scaling']);
  expect(missed(runOf([ratioRow(4, 3)], QUICK))).toEqual([]);
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
