/** The result of every figure. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Memory } from './proc.ts';
import type { Row } from './verdict.ts';

/** Programs to compare with, by path. */
export interface Peers {
  readonly spire?: { readonly agent: string; readonly server: string };
  readonly envoy?: string;
}

/** How long a run may take, and with what it compares. */
export interface Scale {
  readonly quick: boolean;
  /** `full` in a full run, `quick` in a short one. */
  readonly pick: (full: number, quick: number) => number;
  readonly peers: Peers;
}

/** Samples of both sides of one figure, thinned out to percentiles. */
export interface Distribution {
  readonly name: string;
  readonly unit: 'µs' | 'ms';
  /** What the other side is. */
  readonly baseline: string;
  /** The bars, as multiples of the baseline. */
  readonly p50: number;
  readonly p99: number;
  /** Percentiles 1 to 99, and then 99.9, of each side. */
  readonly ours: readonly number[];
  readonly baselines: readonly number[];
}

/** A stage of the start, and the milliseconds that it takes. */
export interface Stage {
  readonly name: string;
  readonly ms: number;
}

export interface MemoryPoint extends Memory {
  readonly requests: number;
}

/** What the plots are drawn from. */
export interface Details {
  readonly distributions?: readonly Distribution[];
  readonly start?: { readonly bareMs: number; readonly stages: readonly Stage[] };
  readonly memory?: {
    readonly bare: Memory;
    readonly series: readonly MemoryPoint[];
    /** Some seconds after the load. */
    readonly after: Memory;
  };
  readonly scaling?: readonly { readonly size: number; readonly ours: number; readonly baseline: number }[];
}

export interface FigureResult {
  readonly rows: readonly Row[];
  readonly details?: Details;
  /** How it was measured, where the table cannot say it. */
  readonly notes?: readonly string[];
}

export type Figure = (scale: Scale) => Promise<FigureResult>;

export const pause = (ms: number): Promise<void> => sleep(ms);
