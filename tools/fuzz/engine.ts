/**
 * The search: take an input of the corpus, change it, run it, and keep it where it made a branch run that none
 * before it did, or a branch run more often. fast-check makes inputs without looking at what they reached, and the
 * one fuzzer of the registry that is coverage-guided (@jazzer.js/core) ships a binary for newer systems than ours
 * and instruments CommonJS alone.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Coverage } from './coverage.ts';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';
import { type Opened, type Target, Violation } from './target.ts';

/** Inputs between two looks at memory. */
const MEMORY_CHECK_EVERY = 256;
/**
 * Milliseconds between two turns of the event loop. Inputs without a single wait leave it none, and then no signal
 * comes, and the memory of buffers is not freed.
 */
const TURN_EVERY_MS = 50;
/** Resident bytes that a target may come to: several times what any of them needs. */
const MAX_RESIDENT_BYTES = 1024 * 1024 * 1024;
/** Different findings after which a run ends. */
const MAX_FINDINGS = 10;
/** Tries to make the input of a finding shorter. */
const SHORTENING_TRIES = 400;

export interface Finding {
  readonly input: Buffer;
  /** What was wrong: name and message of the error. */
  readonly what: string;
}

export interface FuzzOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Inputs to run at most; for tests. */
  readonly executions?: number;
  readonly corpus: readonly Buffer[];
  /** Without it inputs are changed at random and none is kept. */
  readonly coverage: Coverage | undefined;
  /** Called with each input before it runs, so that the input survives a crash of the process. */
  readonly onRun?: (input: Buffer) => void;
  readonly onFinding?: (finding: Finding) => void;
  /** Errors that came from nowhere: no call could catch them. */
  readonly stray?: () => unknown;
  readonly stopped?: () => boolean;
}

export interface Fuzzed {
  readonly executions: number;
  readonly seconds: number;
  readonly findings: readonly Finding[];
  readonly corpus: readonly Buffer[];
}

/** Name of an input's file. */
export function nameOf(input: Buffer): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 16);
}

export async function fuzz(target: Target, opened: Opened, options: FuzzOptions): Promise<Fuzzed> {
  const { coverage, onRun, stopped = () => false } = options;
  const random = new Random(options.seed);
  const words = target.words.map((word) => Buffer.from(word as string));
  const seeds = target.seeds.map((seed) => Buffer.from(seed as string));
  const corpus: Buffer[] = [];
  const findings = new Map<string, Finding>();
  const started = performance.now();
  const deadline = started + options.seconds * 1_000;
  const most = options.executions ?? Number.POSITIVE_INFINITY;
  let executions = 0;

  const turn = turns();
  const attempt = async (input: Buffer): Promise<Wrong | undefined> => {
    await turn();
    onRun?.(input);
    executions += 1;
    coverage?.reset();
    return runOnce(target, opened, input, options.stray);
  };
  const note = async (input: Buffer, what: string) => {
    const id = what.replaceAll(/[0-9]+/g, '0');
    if (findings.has(id)) return;
    const shortest = await shorten(
      input,
      async (candidate) => (await attempt(candidate))?.what === what,
      random,
    );
    const finding = { input: shortest, what };
    findings.set(id, finding);
    options.onFinding?.(finding);
  };
  const step = async (input: Buffer) => {
    const wrong = await attempt(input);
    if (wrong !== undefined) await note(wrong.input ?? input, wrong.what);
    else if (coverage === undefined || coverage.takeNew() > 0) {
      if (coverage !== undefined) corpus.push(input);
    }
    if (executions % MEMORY_CHECK_EVERY === 0) {
      if (process.memoryUsage.rss() > MAX_RESIDENT_BYTES)
        await note(input, 'memory: more than 1 GiB is resident');
    }
  };
  const goesOn = () =>
    performance.now() < deadline && executions < most && findings.size < MAX_FINDINGS && !stopped();

  const given = [...seeds, ...options.corpus];
  for (const input of given) if (goesOn()) await step(input);
  if (corpus.length === 0) corpus.push(...given);
  const other = () => choose(corpus, random);
  while (goesOn()) await step(mutate(other(), random, { words, other, maxBytes: target.maxBytes }));
  try {
    await opened.settle?.();
  } catch (error) {
    const { what, input = corpus.at(-1) ?? Buffer.alloc(0) } = describe(error);
    await note(input, what);
  }
  return {
    executions,
    seconds: (performance.now() - started) / 1_000,
    findings: [...findings.values()],
    corpus,
  };
}

/** Yields to the event loop if it has not run for long. */
function turns(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < TURN_EVERY_MS) return;
    await setImmediate();
    last = performance.now();
  };
}

/** Recent inputs are taken more often, for they reached what was not looked at yet, and short ones, for they are fast. */
function choose(corpus: readonly Buffer[], random: Random): Buffer {
  const recent = random.below(3) === 0 ? Math.min(corpus.length, 32) : corpus.length;
  const one = () => corpus[corpus.length - 1 - random.below(recent)] ?? Buffer.alloc(0);
  const [a, b] = [one(), one()];
  return a.byteLength <= b.byteLength ? a : b;
}

/** A finding, with its input if that is not the current one. */
export interface Wrong {
  readonly what: string;
  readonly input?: Buffer | undefined;
}

/** Runs one input; what was wrong, if anything. */
export async function runOnce(
  target: Target,
  opened: Opened,
  input: Buffer,
  stray: () => unknown = () => undefined,
): Promise<Wrong | undefined> {
  const cpuMs = async () => {
    const before = process.cpuUsage();
    await opened.run(Buffer.from(input));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  };
  try {
    let spent = await cpuMs();
    // A collection of garbage or a compilation can fall into any run, and not into three.
    for (let again = 0; again < 2 && spent > target.maxCpuMs; again++) spent = Math.min(spent, await cpuMs());
    if (spent > target.maxCpuMs)
      return { what: `slow: an input takes more than ${target.maxCpuMs} ms of CPU` };
  } catch (error) {
    return describe(error);
  }
  const error = stray();
  return error === undefined ? undefined : { what: `nobody caught: ${describe(error).what}` };
}

/** An error in words, with the place that it comes from. */
export function describe(error: unknown): Wrong {
  if (!(error instanceof Error)) return { what: `not an error was thrown: ${typeof error}` };
  if (error instanceof Violation) return { what: error.message, input: error.input };
  const place = /\/(src|test|node_modules)\/[^)\n]*/.exec(error.stack ?? '')?.[0] ?? '';
  return { what: `${error.name}: ${error.message.slice(0, 200)} at ${place}` };
}

/** Cuts pieces out of an input for as long as `same` holds. */
async function shorten(
  input: Buffer,
  same: (input: Buffer) => Promise<boolean>,
  random: Random,
): Promise<Buffer> {
  let shortest = input;
  // What is slow to run is not worth it, and what cannot be repeated is kept as it is.
  const started = performance.now();
  if (!(await same(input)) || performance.now() - started > 200) return input;
  for (let left = SHORTENING_TRIES; left > 0 && shortest.byteLength > 0; left--) {
    const from = random.below(shortest.byteLength);
    const length = 1 + random.below(Math.max(1, shortest.byteLength >> random.below(6)));
    const candidate = Buffer.concat([shortest.subarray(0, from), shortest.subarray(from + length)]);
    if (await same(candidate)) shortest = candidate;
  }
  return shortest;
}

/**
 * Selects inputs that together reach every branch, short ones first, within the limits for files and bytes: first the
 * inputs that reach a branch of the code under test, then, if there is room, those that run a branch more often.
 */
export async function smallestCorpus(
  target: Pick<Target, 'covers'>,
  opened: Opened,
  coverage: Coverage,
  inputs: readonly Buffer[],
  limit: { readonly files: number; readonly bytes: number },
  onRun?: (input: Buffer) => void,
): Promise<Buffer[]> {
  const turn = turns();
  const runs = async (input: Buffer): Promise<boolean> => {
    await turn();
    onRun?.(input);
    coverage.reset();
    try {
      await opened.run(Buffer.from(input));
      return true;
    } catch {
      return false;
    }
  };
  const kept = new Set<Buffer>();
  let bytes = 0;
  const keep = async (input: Buffer, isNew: () => boolean) => {
    const fits = kept.size < limit.files && bytes + input.byteLength <= limit.bytes;
    if (kept.has(input) || !fits || !(await runs(input)) || !isNew()) return;
    kept.add(input);
    bytes += input.byteLength;
  };
  const shortFirst = [...inputs].sort((a, b) => a.byteLength - b.byteLength);
  coverage.forget();
  for (const input of shortFirst) await keep(input, () => coverage.takeNewBranches(target.covers) > 0);
  coverage.forget();
  for (const input of kept) if (await runs(input)) coverage.takeNew();
  for (const input of shortFirst) await keep(input, () => coverage.takeNew() > 0);
  return [...kept];
}
