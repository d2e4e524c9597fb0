/** Rows for tests of what is made of them. */
import type { Run } from './run.ts';
import type { Row } from './verdict.ts';

export function ratioRow(ratio: number, atMost?: number): Row {
  return {
    id: 'start',
    figure: 'process start',
    unit: 'ms',
    ours: 40 * ratio,
    baseline: { name: 'bare Node', value: 40 },
    ratio: { median: ratio, low: ratio - 0.1, high: ratio + 0.1 },
    rounds: 9,
    ...(atMost === undefined ? {} : { bar: { on: 'ratio', atMost } }),
  };
}

export function valueRow(value: number, atMost: number): Row {
  return {
    id: 'cpu',
    figure: 'CPU at rest',
    unit: '% of a core',
    ours: value,
    baseline: { name: 'bare Node', value: 0 },
    rounds: 3,
    bar: { on: 'value', atMost, fullRunOnly: true },
  };
}

export function runOf(rows: readonly Row[], given: Partial<Run> = {}): Run {
  return {
    machine: { cores: 2, cpu: 'a processor', memoryGib: 8, kernel: '6.1', node: '26.0.0' },
    quick: false,
    tolerance: 1,
    rows,
    notes: [],
    failures: [],
    details: {},
    ...given,
  };
}
