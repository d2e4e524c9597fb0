/**
 * npm run fuzz -- [TARGET...] [--seconds N | --minutes N] [--seed S] [--save] [--json FILE] [--input FILE]
 *
 * Fuzzes each target for the given time, two at once, and exits with 1 if anything was found.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { writeFinding } from './corpus.ts';
import type { Counted } from './coverage.ts';
import { Patience, processTimes } from './patience.ts';
import { isTarget, TARGETS, type TargetName } from './targets.ts';
import type { Report, Task } from './worker.ts';

/** Targets that are searched at the same time. */
const AT_ONCE = 2;
/** Milliseconds of silence after which a target hangs: of CPU time and sleep, and not of standing in line for the CPU. */
const SILENCE_MS = 20_000;
/** Milliseconds between two looks at a silent target. */
const LOOK_EVERY_MS = 500;
/** MiB of JavaScript heap: an input that fills it ends the process, which is a finding. */
const HEAP_MIB = 512;

interface Summary {
  readonly target: TargetName;
  readonly seed: number;
  executions: number;
  seconds: number;
  cpuSeconds: number;
  covered: number;
  all: number;
  files: Readonly<Record<string, Counted>>;
  corpus: { readonly files: number; readonly bytes: number };
  readonly findings: { readonly what: string; readonly file: string }[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string' },
    json: { type: 'string' },
    input: { type: 'string' },
    save: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !isTarget(name));
const seconds = values.minutes !== undefined ? Number(values.minutes) * 60 : Number(values.seconds ?? 10);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (unknown.length > 0 || !(seconds > 0) || !Number.isInteger(seed)) {
  console.error(
    `usage: npm run fuzz -- [TARGET...] [--seconds N | --minutes N] [--seed S] [--save] [--json FILE] [--input FILE]\ntargets: ${TARGETS.join(', ')}`,
  );
  process.exit(2);
}
const wanted = positionals.length > 0 ? positionals.filter(isTarget) : [...TARGETS];
if (values.input !== undefined && wanted.length !== 1) {
  console.error('--input needs the one target that the input is for');
  process.exit(2);
}

const children = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    for (const child of children) child.kill('SIGTERM');
  });

const folder = mkdtempSync(join(memoryFolder(), 'fuzz-'));
const summaries: Summary[] = [];
const queue = [...wanted];
try {
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
        const summary = await search(target);
        summaries.push(summary);
        show(summary);
      }
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(summaries, null, 2)}\n`);
const found = summaries.reduce((sum, { findings }) => sum + findings.length, 0);
process.exitCode = found > 0 ? 1 : 0;

/** Runs one target in a child, and turns its end into findings where it did not end by itself. */
async function search(target: TargetName): Promise<Summary> {
  const current = join(folder, `${target}.input`);
  const task: Task = {
    seed,
    seconds,
    save: values.save,
    current,
    ...(values.input === undefined ? {} : { input: values.input }),
  };
  const summary: Summary = {
    target,
    seed,
    executions: 0,
    seconds: 0,
    cpuSeconds: 0,
    covered: 0,
    all: 0,
    files: {},
    corpus: { files: 0, bytes: 0 },
    findings: [],
  };
  const note = (what: string, input: Buffer) => {
    const file = relative(process.cwd(), values.input ?? writeFinding(target, input));
    summary.findings.push({ what, file });
    console.log(`${target}: ${what}\n  again: npm run fuzz -- ${target} --input ${file}`);
    // A machine of CI is gone with its files. Inputs hold no secrets.
    if (process.env.CI !== undefined) console.log(`  input in Base64: ${input.toString('base64')}`);
  };
  const child = spawn(
    process.execPath,
    [
      `--max-old-space-size=${HEAP_MIB}`,
      join(import.meta.dirname, 'worker.ts'),
      target,
      JSON.stringify(task),
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, TMPDIR: folder } },
  );
  children.add(child);
  let done = false;
  let hung = false;
  const patience = new Patience({ cpuMs: 0, sleeps: false }, performance.now());
  const looks = setInterval(() => {
    const times = processTimes(child.pid ?? 0);
    if (times === undefined || patience.look(times, performance.now()) < SILENCE_MS) return;
    hung = true;
    child.kill('SIGKILL');
  }, LOOK_EVERY_MS);
  child.on('message', (report: Report) => {
    patience.heard();
    if (report.kind === 'finding') note(report.what, Buffer.from(report.input, 'base64'));
    if (report.kind === 'done') {
      done = true;
      const { kind: _, ...rest } = report;
      Object.assign(summary, rest);
    }
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once('close', (code, signal) => resolve([code, signal])),
  );
  clearInterval(looks);
  children.delete(child);
  if (!done || code !== 0) {
    const how = hung
      ? `hangs: no message for ${SILENCE_MS / 1_000} s`
      : `the process ended (${signal ?? `exit code ${code}`})`;
    note(how, lastInput(current));
  }
  return summary;
}

function lastInput(file: string): Buffer {
  try {
    const bytes = readFileSync(file);
    return bytes.byteLength < 4 ? Buffer.alloc(0) : bytes.subarray(4, 4 + bytes.readUInt32LE(0));
  } catch {
    return Buffer.alloc(0);
  }
}

function show({
  target,
  seed,
  executions,
  seconds,
  cpuSeconds,
  covered,
  all,
  corpus,
  findings,
}: Summary): void {
  const speed = seconds > 0 ? Math.round(executions / seconds) : 0;
  const share = all > 0 ? Math.round((covered * 1_000) / all) / 10 : 0;
  console.log(
    `${target}: ${executions} executions in ${Math.round(seconds)} s (${speed}/s, ${Math.round(cpuSeconds)} s of CPU), ${covered} of ${all} branches (${share} %), corpus ${corpus.files} inputs (${corpus.bytes} bytes), ${findings.length} findings, seed ${seed}`,
  );
}

function memoryFolder(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}
