/**
 * Fuzzes one target in a process of its own: an input that hangs it or ends it is the parent's finding.
 *
 *   worker.ts <target> <options as JSON>
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Counted, instrument } from './coverage.ts';

const coverage = instrument(join(import.meta.dirname, '../..'));
const { CORPUS_LIMIT, readCorpus, writeCorpus } = await import('./corpus.ts');
const { describe, fuzz, runOnce, smallestCorpus } = await import('./engine.ts');
const { isTarget, loadTarget } = await import('./targets.ts');

/** What the parent asks for. */
export interface Task {
  readonly seed: number;
  readonly seconds: number;
  readonly save: boolean;
  /** File that takes each input before it runs: length in four bytes, then the input. */
  readonly current: string;
  /** One input to run instead of a search. */
  readonly input?: string;
}

/** What the parent is told. */
export type Report =
  | { readonly kind: 'alive' }
  | { readonly kind: 'finding'; readonly what: string; readonly input: string }
  | {
      readonly kind: 'done';
      readonly executions: number;
      readonly seconds: number;
      /** Of all threads, from the start of the process. */
      readonly cpuSeconds: number;
      readonly covered: number;
      readonly all: number;
      readonly files: Readonly<Record<string, Counted>>;
      readonly corpus: { readonly files: number; readonly bytes: number };
    };

const [name = '', json = '{}'] = process.argv.slice(2);
if (!isTarget(name)) throw new Error('no such target');
const task = JSON.parse(json) as Task;
const target = await loadTarget(name);
const tell = (report: Report) => void process.send?.(report);

const strays: unknown[] = [];
process.on('uncaughtException', (error) => strays.push(error));
process.on('unhandledRejection', (reason) => strays.push(reason));
let stopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (stopped = true));
let beat = performance.now();

const current = openSync(task.current, 'w');
const onRun = (input: Buffer) => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(input.byteLength);
  writeSync(current, length, 0, 4, 0);
  if (input.byteLength > 0) writeSync(current, input, 0, input.byteLength, 4);
  if (performance.now() - beat > 500) {
    // The parent takes silence for a hang, so that this must come from what a hang would stop.
    beat = performance.now();
    tell({ kind: 'alive' });
  }
};
const onFinding = (finding: { what: string; input: Buffer }) =>
  tell({ kind: 'finding', what: finding.what, input: finding.input.toString('base64') });

const opened = await target.open();
// What opening runs counts as reached, and makes no input special.
coverage.takeNew();
try {
  if (task.input !== undefined) {
    const input = readFileSync(task.input);
    onRun(input);
    const wrong =
      (await runOnce(target, opened, input, () => strays.shift())) ?? (await settled(opened).catch(describe));
    if (wrong !== undefined) onFinding({ what: wrong.what, input });
    coverage.takeNew();
    const counted = coverage.count(target.covers);
    tell({
      kind: 'done',
      executions: 1,
      seconds: 0,
      cpuSeconds: cpuSeconds(),
      ...counted,
      corpus: { files: 0, bytes: 0 },
    });
  } else {
    const given = readCorpus(name);
    const { executions, seconds, corpus } = await fuzz(target, opened, {
      ...task,
      corpus: given,
      coverage,
      onRun,
      onFinding,
      stray: () => strays.shift(),
      stopped: () => stopped,
    });
    const spent = cpuSeconds();
    const counted = coverage.count(target.covers);
    if (task.save) {
      const inputs = [...given, ...corpus];
      writeCorpus(name, await smallestCorpus(target, opened, coverage, inputs, CORPUS_LIMIT, onRun));
    }
    const bytes = corpus.reduce((sum, { byteLength }) => sum + byteLength, 0);
    tell({
      kind: 'done',
      executions,
      seconds,
      cpuSeconds: spent,
      ...counted,
      corpus: { files: corpus.length, bytes },
    });
  }
} finally {
  await opened[Symbol.asyncDispose]();
  closeSync(current);
  process.disconnect?.();
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function settled({ settle }: { readonly settle?: () => Promise<void> }): Promise<undefined> {
  await settle?.();
}
