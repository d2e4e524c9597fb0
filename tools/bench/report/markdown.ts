/** The table. Pure. */
import type { Run } from '../run.ts';
import { judge } from '../verdict.ts';
import { bar, floorOf, measure, times } from './format.ts';

const HEADER = ['figure', 'ours', 'baseline', 'ratio: median (quartiles)', 'bar', 'floor', 'verdict'];

export function markdown(run: Run): string {
  const { machine } = run;
  const lines = run.rows.map((row) => [
    row.figure,
    measure(row.ours, row.unit),
    `${measure(row.baseline.value, row.unit)} – ${row.baseline.name}`,
    row.ratio === undefined ? '–' : times(row.ratio),
    bar(row),
    floorOf(row),
    judge(row, run) === 'missed' ? '**missed**' : judge(row, run),
  ]);
  return [
    `Measured on ${machine.cores} cores (${machine.cpu}), ${machine.memoryGib} GiB, Linux ${machine.kernel}, Node ${machine.node}; both sides of each row in the same run, in turns.${run.tolerance === 1 ? '' : ` Tolerated is up to ${run.tolerance} times a bar, or ${run.tolerance} times what the last full run came to where that missed the bar.`}`,
    '',
    ...[HEADER, HEADER.map(() => '-'), ...lines].map((cells) => `| ${cells.join(' | ')} |`),
    '',
    ...run.notes.map((note) => `- ${note}`),
    ...run.failures.map(({ figure, message }) => `- **${figure} was not measured**: ${message}`),
    '',
  ].join('\n');
}
