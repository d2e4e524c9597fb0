/** What decides whether the resolver is fast and small enough, in the order in which it is printed. */
import type { Bar, Row } from './verdict.ts';

export const BARS = {
  'memory-rest-private-dirty': { on: 'value', atMost: 20 },
  'memory-load-private-dirty': { on: 'value', atMost: 26 },
  'memory-load-growth-private-dirty': { on: 'value', atMost: 5, fullRunOnly: true },
  'memory-rest-rss': { on: 'ratio', atMost: 1.4 },
  'spire-rss': { on: 'ratio', atMost: 1 },
  'memory-rest-cgroup': { on: 'value', atMost: 30 },
  start: { on: 'ratio', atMost: 3 },
  'start-cpu': { on: 'value', atMost: 180 },
  'unary-20-p50': { on: 'ratio', atMost: 1.25 },
  'unary-20-p99': { on: 'ratio', atMost: 1.5 },
  'spire-unary': { on: 'ratio', atMost: 0.5 },
  // A short run has too few rotations for V8 to compile what they call: it is judged by the milliseconds alone.
  'rotation-p50': { on: 'ratio', atMost: 2, fullRunOnly: true },
  'rotation-p99': { on: 'ratio', atMost: 3, fullRunOnly: true },
  // A short window holds one of the checks that come every 10 and 15 s, or none.
  'cpu-rest': { on: 'value', atMost: 0.15, fullRunOnly: true },
  scaling: { on: 'value', atMost: 1.1 },
  'scaling-last-decade': { on: 'value', atMost: 1.1, fullRunOnly: true },
} as const satisfies Record<string, Bar>;

const ORDER = Object.keys(BARS);

/** Whether a row is one of these. */
export const decides = ({ id }: Row): boolean => ORDER.includes(id);

/** These first, in their order, and then all others. */
export function inOrder(rows: readonly Row[]): Row[] {
  return [
    ...ORDER.flatMap((id) => rows.filter((row) => row.id === id)),
    ...rows.filter((row) => !decides(row)),
  ];
}
