/**
 * `npm run bench`: each figure as a ratio to a baseline that is measured in the same run. A full run writes JSON,
 * the table and plots to `results/`, a run of some figures only where `--out` says.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { folderInMemory } from '../../test/support/memory-folder.ts';
import { enterOwnNamespaces } from '../../test/support/own-namespaces.ts';
import type { Details, Figure, FigureResult, Peers, Scale } from './figure.ts';
import { cpuAtRest } from './figures/cpu.ts';
import { envoy } from './figures/envoy.ts';
import { memoryAfterLoad, memoryAtRest } from './figures/memory.ts';
import { rotation } from './figures/rotation.ts';
import { scaling } from './figures/scaling.ts';
import { spire } from './figures/spire.ts';
import { start } from './figures/start.ts';
import { unary20, unary1000 } from './figures/unary.ts';
import { watchers } from './figures/watchers.ts';
import { markdown } from './report/markdown.ts';
import { plots } from './report/plots.ts';
import { missed, type Run, thisMachine } from './run.ts';
import { judge, judgedValue, type Row } from './verdict.ts';

const FIGURES: Readonly<Record<string, Figure>> = {
  'unary-20': unary20,
  'unary-1000': unary1000,
  rotation,
  watchers,
  start,
  'memory-rest': memoryAtRest,
  'memory-load': memoryAfterLoad,
  'cpu-rest': cpuAtRest,
  scaling,
  spire,
  envoy,
};
/** Measurements of one figure that must all miss before a short run fails. */
const QUICK_ATTEMPTS = 3;
const RESULTS = join(import.meta.dirname, 'results');

const USAGE = `npm run bench -- [--quick] [--only NAME]... [--out DIR] [--tolerance FACTOR] [--strict]
               [--spire-agent PATH --spire-server PATH] [--envoy PATH]

  --quick       about a minute, and exit 1 where a figure is three times above its bar, or what the last full run
                came to where that is higher, times the tolerance, 1.5 unless given
  --only NAME   one of ${Object.keys(FIGURES).join(', ')}
  --out DIR     where JSON, table and plots go; a full run of all figures writes to tools/bench/results
  --tolerance   what every bar is multiplied by; 1 in a full run
  --strict      exit 1 where a full run misses a bar, or could not measure one
  --spire-agent, --spire-server
                SPIRE's programs, for the same figures on its agent
  --envoy       an Envoy, for rotations by its own file SDS; if not given, the one that the tests installed
`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    out: { type: 'string' },
    tolerance: { type: 'string' },
    strict: { type: 'boolean', default: false },
    'spire-agent': { type: 'string' },
    'spire-server': { type: 'string' },
    envoy: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const quick = values.quick;
const tolerance = Number(values.tolerance ?? (quick ? 1.5 : 1));
const names = values.only ?? Object.keys(FIGURES);
const unknown = names.filter((name) => !Object.hasOwn(FIGURES, name));
const halfSpire = (values['spire-agent'] === undefined) !== (values['spire-server'] === undefined);
if (values.help || unknown.length > 0 || !(tolerance > 0) || halfSpire) {
  process.stderr.write(unknown.length > 0 ? `no figure is called ${unknown.join(', ')}\n\n${USAGE}` : USAGE);
  process.exit(values.help ? 0 : 2);
}
const out = values.out ?? (quick || values.only !== undefined ? undefined : RESULTS);

const recorded = lastFullRun();
// A PID namespace, as a pod has one: the resolver looks at every process of its own.
enterOwnNamespaces('--pid', '--fork', '--kill-child', '--mount-proc');
const run = await measureAll(names);
console.log(markdown(run));
if (out !== undefined) {
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'bench.json'), `${JSON.stringify(run, undefined, 1)}\n`);
  const drawn = plots(run);
  writeFileSync(join(out, 'bench.md'), markdown(run, drawn.keys()));
  for (const [file, svg] of drawn) writeFileSync(join(out, file), svg);
}
const above = missed(run);
if (above.length > 0) console.log(`Missed: ${above.join(', ')}`);
if ((above.length > 0 && (quick || values.strict)) || run.failures.length > 0) process.exitCode = 1;

async function measureAll(figures: readonly string[]): Promise<Run> {
  const scale: Scale = { quick, pick: (full, short) => (quick ? short : full), peers: peers() };
  const rows: Row[] = [];
  const notes: string[] = [];
  const failures: Run['failures'][number][] = [];
  let details: Details = {};
  // Everything that is measured lies in memory, as kubelet's volumes do.
  const folder = folderInMemory();
  process.env.TMPDIR = folder;
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const figure of figures) {
    const from = performance.now();
    try {
      const result = await measured(figure, scale);
      rows.push(...result.rows);
      notes.push(...(result.notes ?? []));
      details = {
        ...details,
        ...result.details,
        distributions: [...(details.distributions ?? []), ...(result.details?.distributions ?? [])],
      };
    } catch (error) {
      failures.push({ figure, message: error instanceof Error ? error.message : String(error) });
    }
    process.stderr.write(`${figure}: ${((performance.now() - from) / 1000).toFixed(1)} s\n`);
  }
  const judging = quick ? { recorded } : {};
  return { machine: thisMachine(), quick, tolerance, ...judging, rows, notes, failures, details };
}

function peers(): Peers {
  const { 'spire-agent': agent, 'spire-server': server, envoy } = values;
  return {
    ...(agent !== undefined && server !== undefined && { spire: { agent, server } }),
    ...(envoy !== undefined && { envoy }),
  };
}

/** By row, what the last full run came to; empty where there is none. */
function lastFullRun(): Readonly<Record<string, number>> {
  const file = join(RESULTS, 'bench.json');
  if (!existsSync(file)) return {};
  const { rows } = JSON.parse(readFileSync(file, 'utf8')) as Run;
  return Object.fromEntries(rows.map((row) => [row.id, judgedValue(row)]));
}

/** A short run has few samples, and another program's moment can be in all of them: what misses is measured again. */
async function measured(figure: string, scale: Scale): Promise<FigureResult> {
  for (let attempt = 1; ; attempt++) {
    const result = await FIGURES[figure]!(scale);
    const above = result.rows.filter((row) => judge(row, { quick, tolerance, recorded }) === 'missed');
    if (!quick || above.length === 0 || attempt === QUICK_ATTEMPTS) return result;
    process.stderr.write(
      `${figure}: above its bar (${above.map(({ id }) => id).join(', ')}), measured again\n`,
    );
  }
}
