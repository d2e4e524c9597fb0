/** The schedule of a run, derived from a seed, so that a run can be repeated except for its timing. Pure. */

/** Actions that run one at a time, because they change the expected state. */
export const CHANGES = {
  rotate: 44,
  'remove-keys': 10,
  'remove-secret': 4,
  'bad-values': 12,
  'odd-shape': 8,
  'full-tmpfs': 3,
  'reload-right': 6,
  'reload-wrong': 5,
  'clock-jump': 3,
} as const;

/** Actions that run in parallel, because they change no expected state. */
export const DISTURBANCES = {
  flood: 3,
  'half-open': 3,
  garbage: 4,
  'huge-headers': 3,
  'idle-watchers': 3,
  'call-flood': 2,
} as const;

/** The same, by programs that attack for some seconds and take much of a core: one of them at a time. */
export const ATTACKS = {
  unfinished: 1,
  unread: 1,
  unknown: 1,
  rate: 1,
  churn: 1,
  'port-flood': 4,
  'port-junk': 2,
  execs: 1,
} as const;

/** Actions on processes, one at a time so that each can be measured. */
export const BLOWS = {
  kill: 0,
  'freeze-resolver': 3,
  'freeze-watcher': 3,
  shortage: 2,
  'no-more-processes': 2,
} as const;

export type Change = keyof typeof CHANGES;
export type Disturbance = keyof typeof DISTURBANCES;
export type Attack = keyof typeof ATTACKS;
export type Blow = keyof typeof BLOWS;

export interface Planned<T> {
  /** Milliseconds after the start. */
  readonly atMs: number;
  readonly action: T;
  /** For the choices within the action. */
  readonly seed: number;
}

export interface Plan {
  readonly changes: readonly Planned<Change>[];
  readonly disturbances: readonly Planned<Disturbance>[];
  readonly attacks: readonly Planned<Attack>[];
  readonly blows: readonly Planned<Blow>[];
}

/** Numbers from 0 to 1 that follow from a seed (the SplitMix32 generator). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** A whole number below `bound`. */
export function below(random: () => number, bound: number): number {
  return Math.floor(random() * bound);
}

export function pick<T>(random: () => number, list: readonly T[]): T {
  const chosen = list[below(random, list.length)];
  if (chosen === undefined) throw new Error('nothing to choose from');
  return chosen;
}

/** Milliseconds at the end without a new action: longer than a re-read without an event, and than any disturbance. */
export const SETTLE_MS = 14_000;

/** Number of kills in a run of this length: 15 in 3 minutes, 105 in 30. */
export function killsIn(minutes: number): number {
  return Math.max(2, Math.round(minutes < 20 ? minutes * 5 : minutes * 3.5));
}

/**
 * The middle third has no kill, so that one process lives long enough to measure its growth. The last seconds let
 * everything settle.
 */
export function planOf(seed: number, minutes: number): Plan {
  const random = randomFrom(seed);
  const lengthMs = minutes * 60_000;
  const endMs = lengthMs - Math.min(SETTLE_MS, lengthMs / 4);
  const kills = Array.from({ length: killsIn(minutes) }, () => {
    const share = random() * (2 / 3);
    return (share < 1 / 3 ? share : share + 1 / 3) * endMs;
  });
  const others = spread(random, endMs, [4_000, 9_000], BLOWS);
  const blows = [
    ...kills.map((atMs) => ({ atMs, action: 'kill' as const, seed: below(random, 2 ** 32) })),
    ...others,
  ].sort((a, b) => a.atMs - b.atMs);
  return {
    changes: spread(random, endMs, [60, 500], CHANGES),
    disturbances: spread(random, endMs, [400, 1_800], DISTURBANCES),
    attacks: spread(random, endMs, [5_000, 15_000], ATTACKS),
    blows,
  };
}

function spread<T extends string>(
  random: () => number,
  endMs: number,
  [least, most]: readonly [number, number],
  weights: Readonly<Record<T, number>>,
): Planned<T>[] {
  const names = (Object.entries(weights) as [T, number][]).flatMap(([name, weight]) =>
    Array.from({ length: weight }, () => name),
  );
  // Each kind once, in any order: none is left to chance.
  const first = [...new Set(names)]
    .map((name) => ({ name, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ name }) => name);
  const planned: Planned<T>[] = [];
  for (let atMs = 1_000; atMs < endMs; atMs += least + random() * (most - least)) {
    planned.push({ atMs, action: first.pop() ?? pick(random, names), seed: below(random, 2 ** 32) });
  }
  return planned;
}
