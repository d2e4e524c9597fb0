/** The tables. Pure. */
import { decides, inOrder } from '../bars.ts';
import type { Run } from '../run.ts';
import { judge, type Row } from '../verdict.ts';
import { bar, floorOf, measure, times } from './format.ts';

const HEADER = ['figure', 'ours', 'baseline', 'ratio: median (quartiles)', 'bar', 'floor', 'verdict'];

/** The bars that must be met come first, in their order; `plots` are files to show at the end. */
export function markdown(run: Run, plots: Iterable<string> = []): string {
  const { machine } = run;
  const rows = inOrder(run.rows);
  const others = rows.filter((row) => !decides(row));
  return [
    ...table(rows.filter(decides), run),
    `Measured on ${machine.cores} cores (${machine.cpu}), ${machine.memoryGib} GiB, Linux ${machine.kernel}, Node ${machine.node}; both sides of each row in the same run, in turns. The floor is what a program comes to that does only that: as a ratio to the same baseline, or as its own figure where the bar is one.${run.tolerance === 1 ? '' : ` Tolerated is up to ${run.tolerance} times a bar, or ${run.tolerance} times what the last full run came to where that missed the bar.`}`,
    '',
    ...(others.length === 0 ? [] : ['Beside them:', '', ...table(others, run)]),
    ...run.notes.map((note) => `- ${note}`),
    ...run.failures.map(({ figure, message }) => `- **${figure} was not measured**: ${message}`),
    '',
    ...Array.from(plots, (file) => `![${file.replace('.svg', '')}](${file})\n`),
  ].join('\n');
}

function table(rows: readonly Row[], run: Run): string[] {
  return [HEADER, HEADER.map(() => '-'), ...rows.map((row) => cells(row, run)), []].map((line) =>
    line.length === 0 ? '' : `| ${line.join(' | ')} |`,
  );
}

function cells(row: Row, run: Run): string[] {
  const verdict = judge(row, run);
  if (row.missing !== undefined)
    return [row.figure, '–', '–', '–', bar(row), '–', `${verdict}: ${row.missing}`];
  return [
    row.figure,
    measure(row.ours, row.unit),
    `${measure(row.baseline.value, row.unit)} – ${row.baseline.name}`,
    row.ratio === undefined ? '–' : times(row.ratio),
    bar(row),
    floorOf(row),
    verdict === 'missed' ? '**missed**' : verdict,
  ];
}
