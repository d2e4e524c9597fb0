/** Rows of the table, and whether each meets its bar. Pure. */
import type { Comparison, Spread } from './stats.ts';

export type Unit = 'µs' | 'ms' | 'MiB' | '% of a core' | '%' | 'exponent';

/** What must hold. */
export interface Bar {
  readonly on: 'ratio' | 'value';
  readonly atMost: number;
  /** Has no meaning in a short run, where it is shown and not judged. */
  readonly fullRunOnly?: true;
}

/** One line of the table. */
export interface Row {
  /** Kebab-case, the same in every run. */
  readonly id: string;
  readonly figure: string;
  readonly unit: Unit;
  readonly ours: number;
  /** What it is measured against. */
  readonly baseline: { readonly name: string; readonly value: number };
  /** Ours over the baseline, from the rounds. */
  readonly ratio?: Spread;
  readonly rounds: number;
  /** The lowest value possible for this kind of program, measured in the same run and in the bar's unit. */
  readonly floor?: { readonly name: string; readonly value: number };
  /** None for a row that is there for context. */
  readonly bar?: Bar;
  /** Why there are no numbers. */
  readonly missing?: string;
}

/** `tolerated`: above the bar, and not so far that a short run fails. */
export type Verdict = 'met' | 'tolerated' | 'missed' | 'not judged' | 'not measured';

/** What a bar is compared with. */
export function judgedValue(row: Row): number {
  return row.bar?.on === 'ratio' ? (row.ratio?.median ?? Number.NaN) : row.ours;
}

/** How a run judges. */
export interface Measure {
  readonly quick: boolean;
  readonly tolerance: number;
  /** By row, what the last full run came to. */
  readonly recorded?: Readonly<Record<string, number>>;
}

/**
 * `tolerance` widens each bar: 1.5 allows 50 % more. A value that is not a number is a miss. A full run compares with the
 * bars only. A short run detects regressions: if the last full run missed a bar, its result replaces that bar.
 */
export function judge(row: Row, { quick, tolerance, recorded }: Measure): Verdict {
  if (row.missing !== undefined) return 'not measured';
  if (row.bar === undefined || (quick && row.bar.fullRunOnly === true)) return 'not judged';
  const value = judgedValue(row);
  if (value <= row.bar.atMost) return 'met';
  const limit = quick ? Math.max(row.bar.atMost, recorded?.[row.id] ?? 0) : row.bar.atMost;
  return value <= limit * tolerance ? 'tolerated' : 'missed';
}

/** A row of a comparison. `scale` turns the samples' unit into the row's. */
export function comparisonRow(
  row: Omit<Row, 'ours' | 'baseline' | 'ratio' | 'rounds'> & { readonly baseline: string },
  comparison: Comparison,
  scale = 1,
): Row {
  return {
    ...row,
    ours: comparison.ours * scale,
    baseline: { name: row.baseline, value: comparison.baseline * scale },
    ratio: comparison.ratio,
    rounds: comparison.rounds,
  };
}

/** A row of what is not on this machine. */
export function missingRow(row: Omit<Row, 'ours' | 'baseline' | 'rounds' | 'missing'>, missing: string): Row {
  return { ...row, ours: Number.NaN, baseline: { name: '', value: Number.NaN }, rounds: 0, missing };
}
