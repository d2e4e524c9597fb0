/** Counters of the run, and the report at its end. */
import { plainTable } from '../../src/cli/output.ts';
import { quantile, type Sample } from './growth.ts';
import type { Machine, Violation } from './judge.ts';

/** One kill, in milliseconds since it. */
export interface Recovery {
  /** The process was gone and the next one was spawned. */
  readonly spawnedMs: number;
  /** The next one said that it listens. */
  readonly listeningMs: number;
  /** CPU time that its start took. */
  readonly startCpuMs: number;
  /** The supervisor's watch had a snapshot of it. */
  readonly snapshotMs: number;
  readonly machine: Machine;
}

export class Tally {
  readonly counts = new Map<string, number>();
  readonly recoveries: Recovery[] = [];

  add(name: string, count = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }

  get(name: string): number {
    return this.counts.get(name) ?? 0;
  }
}

const round = (value: number) => Math.round(value * 10) / 10;

function spreadOf(list: readonly number[]) {
  return { p50: round(quantile(list, 0.5)), p99: round(quantile(list, 0.99)), max: round(quantile(list, 1)) };
}

/** Samples at the beginning, in the middle and at the end of what was sampled. */
function threeOf(samples: readonly Sample[]) {
  const at = (index: number) => {
    const sample = samples[Math.min(samples.length - 1, Math.max(0, index))];
    return sample === undefined
      ? {}
      : {
          rssMiB: round(sample.rssMiB),
          descriptors: sample.descriptors,
          watchers: sample.watchers,
        };
  };
  return {
    begin: at(0),
    middle: at(Math.floor(samples.length / 2)),
    end: at(samples.length - 1),
    maxRssMiB: round(Math.max(...samples.map(({ rssMiB }) => rssMiB))),
  };
}

export interface SummaryInput {
  readonly seed: number;
  readonly minutes: number;
  readonly tally: Tally;
  readonly lives: readonly (readonly Sample[])[];
  readonly violations: readonly Violation[];
  readonly notJudged: readonly { readonly at: number; readonly what: string }[];
  readonly leftOut: readonly string[];
  readonly startedAt: number;
}

/** The whole result, as the JSON file has it. */
export function summaryOf(input: SummaryInput) {
  const { seed, minutes, tally, lives, violations, notJudged, leftOut, startedAt } = input;
  const atSeconds = ({ at }: { readonly at: number }) => round((at - startedAt) / 1000);
  const { recoveries } = tally;
  const longest = lives.toSorted((a, b) => spanOf(b) - spanOf(a)).find((samples) => samples.length > 0) ?? [];
  return {
    seed,
    minutes,
    leftOut,
    counts: Object.fromEntries([...tally.counts].sort(([a], [b]) => a.localeCompare(b))),
    lives: lives.length,
    recoveryMs: {
      killToSpawn: spreadOf(recoveries.map(({ spawnedMs }) => spawnedMs)),
      spawnToListening: spreadOf(
        recoveries.map(({ spawnedMs, listeningMs }) => listeningMs - spawnedMs).filter(Number.isFinite),
      ),
      startCpuTime: spreadOf(recoveries.map(({ startCpuMs }) => startCpuMs).filter(Number.isFinite)),
      listeningToSnapshot: spreadOf(
        recoveries.map(({ listeningMs, snapshotMs }) => snapshotMs - listeningMs).filter(Number.isFinite),
      ),
      killToSnapshot: spreadOf(recoveries.map(({ snapshotMs }) => snapshotMs)),
      withoutACore: spreadOf(recoveries.map(({ machine }) => machine.coreWaitMs)),
      bareNodeBesideIt: spreadOf(recoveries.map(({ machine }) => machine.bareStartMs)),
    },
    wholeRun: threeOf(lives.flat()),
    longestLife: { seconds: Math.round(spanOf(longest) / 1000), ...threeOf(longest) },
    notJudged: notJudged.map((each) => ({ atSeconds: atSeconds(each), what: each.what })),
    violations: violations.map((each) => ({
      invariant: each.invariant,
      atSeconds: atSeconds(each),
      what: each.what,
    })),
  };
}

function spanOf(samples: readonly Sample[]): number {
  return (samples.at(-1)?.at ?? 0) - (samples.at(0)?.at ?? 0);
}

/** The result for people. */
export function tableOf(summary: ReturnType<typeof summaryOf>): string {
  const rows = Object.entries(summary.counts).map(([name, count]) => [name, String(count)]);
  for (const [name, { p50, p99, max }] of Object.entries(summary.recoveryMs))
    rows.push([`recovery, ${name}: p50 / p99 / max`, `${p50} / ${p99} / ${max} ms`]);
  for (const [name, { begin, middle, end, maxRssMiB }] of [
    ['whole run', summary.wholeRun],
    [`longest life, ${summary.longestLife.seconds} s`, summary.longestLife],
  ] as const) {
    rows.push([
      `RSS, ${name}: begin / middle / end / max`,
      `${begin.rssMiB} / ${middle.rssMiB} / ${end.rssMiB} / ${maxRssMiB} MiB`,
    ]);
    const three = (what: 'descriptors' | 'watchers') =>
      [begin, middle, end].map((sample) => sample[what] ?? 'not counted').join(' / ');
    rows.push([`descriptors, ${name}: begin / middle / end`, three('descriptors')]);
    rows.push([`watchers, ${name}: begin / middle / end`, three('watchers')]);
  }
  rows.push([
    'recoveries that were late and not judged: the machine had no time',
    String(summary.notJudged.length),
  ]);
  rows.push(['violations', String(summary.violations.length)]);
  return plainTable(['what', 'count or figure'], rows);
}
