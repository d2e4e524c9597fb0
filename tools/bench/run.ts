/** A whole run, as its JSON has it. */
import { cpus, release, totalmem } from 'node:os';
import type { Details } from './figure.ts';
import { judge, type Row } from './verdict.ts';

export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
}

export interface Run {
  readonly machine: Machine;
  readonly quick: boolean;
  /** What every bar was multiplied by. */
  readonly tolerance: number;
  /** What a short run is held against besides the bars: see {@link judge}. */
  readonly recorded?: Readonly<Record<string, number>>;
  readonly rows: readonly Row[];
  readonly notes: readonly string[];
  /** Figures that could not be measured. */
  readonly failures: readonly { readonly figure: string; readonly message: string }[];
  readonly details: Details;
}

/** Facts that figures depend on. Nothing that names the machine. */
export function thisMachine(): Machine {
  const processors = cpus();
  return {
    cores: processors.length,
    cpu: processors[0]?.model.trim() ?? 'unknown',
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
  };
}

/** Rows that are above their bar, and what could not be measured. What needs a program that is not here counts in a full run. */
export function missed(run: Run): string[] {
  return [
    ...run.rows
      .filter(({ bar }) => bar !== undefined)
      .filter((row) => ['missed', ...(run.quick ? [] : ['not measured'])].includes(judge(row, run)))
      .map(({ id }) => id),
    ...run.failures.map(({ figure }) => figure),
  ];
}
