/**
 * `npm run bench`: each figure as a ratio to a baseline that is measured in the same run.
 *
 *   main.ts [--quick] [--only NAME...] [--out DIR] [--tolerance FACTOR] [--strict]
 */
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { folderInMemory } from '../support/memory-folder.ts';
import type { Figure, FigureResult, Scale } from './figure.ts';
import { memoryAfterLoad, memoryAtRest } from './figures/memory.ts';
import { start } from './figures/start.ts';
import { grpcFloor, unary20, unary1000 } from './figures/unary.ts';

const FIGURES: Readonly<Record<string, Figure>> = {
  'unary-20': unary20,
  'unary-1000': unary1000,
  'grpc-floor': grpcFloor,
  start,
  'memory-rest': memoryAtRest,
  'memory-load': memoryAfterLoad,
};

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', multiple: true } },
});
const quick = values.quick;
const scale: Scale = { quick, pick: (full, short) => (quick ? short : full) };
const folder = folderInMemory();
process.env.TMPDIR = folder;
try {
  for (const name of values.only ?? Object.keys(FIGURES)) {
    const from = performance.now();
    const result: FigureResult = await FIGURES[name]!(scale);
    console.log(name, ((performance.now() - from) / 1000).toFixed(1), 's');
    console.table(
      result.rows.map((r) => ({
        id: r.id,
        ours: r.ours,
        base: r.baseline.value,
        ratio: r.ratio?.median,
        low: r.ratio?.low,
        high: r.ratio?.high,
      })),
    );
    console.log(result.notes);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
