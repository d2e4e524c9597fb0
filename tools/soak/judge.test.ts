/** Violates each invariant once on purpose: a check that never fails proves nothing. */
import { beforeEach, describe, expect, it } from 'vitest';
import { History } from './history.ts';
import {
  ANSWERED_AFTER_MS,
  BARE_START_WITHIN_MS,
  Judge,
  type Machine,
  RECOVERED_WITHIN_MS,
  SERVED_WITHIN_MS,
  WITHDRAWN_WITHIN_MS,
} from './judge.ts';
import type { Observation } from './observation.ts';

let history: History;
let judge: Judge;

/** A poll that took a millisecond, of what is whole unless said otherwise. */
function seen(
  at: number,
  generation: number | readonly number[] | undefined,
  options: Partial<Observation> & { readonly keys?: readonly string[] } = {},
): Observation {
  const { keys = ['A', 'B'], ...rest } = options;
  const generations = typeof generation === 'number' ? [generation] : (generation ?? []);
  return {
    client: 'supervisor get',
    kind: 'poll',
    sees: ['s'],
    from: at - 1,
    at,
    revision: `${at}`,
    secrets: generation === undefined ? {} : { s: { generations, keys } },
    foreign: [],
    handles: {},
    ...rest,
  };
}

/** At the edge of what excuses nothing. */
const idle: Machine = { bareStartMs: BARE_START_WITHIN_MS, coreWaitMs: 0 };

const found = () => judge.violations.map(({ invariant }) => invariant);

beforeEach(() => {
  history = new History();
  judge = new Judge(history, ['s:OPTIONAL']);
  history.wrote('s', 1, ['A', 'B'], 0, 1);
});

describe('generations', () => {
  it('accepts whole ones, in order, and a key that comes and goes by itself', () => {
    judge.observe(seen(10, 1));
    history.wrote('s', 2, ['A', 'OPTIONAL'], 20, 21);
    judge.observe(seen(30, 2, { keys: ['A'] }));
    judge.observe(seen(40, 2, { keys: ['A', 'OPTIONAL'] }));
    history.wrote('s', 3, [], 50, 51);
    judge.observe(seen(60, undefined));
    expect(judge.violations).toEqual([]);
  });

  it('condemns a mixture', () => {
    history.wrote('s', 2, ['A', 'B'], 2, 3);
    judge.observe(seen(10, [1, 2]));
    expect(judge.violations).toEqual([
      { invariant: 'mixed', at: 10, what: 'supervisor get: s mixes generations 1, 2' },
    ]);
  });

  it.each([
    ['a key too few', ['A']],
    ['a key too many', ['A', 'B', 'C']],
  ])('condemns %s', (_, keys) => {
    judge.observe(seen(10, 1, { keys }));
    expect(found()).toEqual(['partial']);
  });

  it('condemns what was never in force, the value of another key, and a provider for others', () => {
    judge.observe(seen(10, 9));
    judge.observe(seen(11, 1, { foreign: ['s:A'] }));
    judge.observe(seen(12, 1, { sees: [] }));
    expect(found()).toEqual(['foreign', 'foreign', 'foreign']);
  });
});

describe('withdrawals', () => {
  const late = 3 + WITHDRAWN_WITHIN_MS + 2;
  beforeEach(() => history.wrote('s', 2, ['A', 'B'], 2, 3));

  it.each(['poll', 'held'] as const)('condemns a value that is late (%s)', (kind) => {
    judge.observe(seen(late - 2, 1, { kind }));
    expect(found()).toEqual([]);
    judge.observe(seen(late, 1, { kind }));
    expect(found()).toEqual(['late']);
  });

  it('does not count time in which the resolver, or this client, could not act', () => {
    history.excuse(100).until = 400;
    history.excuse(300, 'supervisor').until = 500;
    judge.observe(seen(late + 399, 1));
    expect(found()).toEqual([]);
    judge.observe(seen(late + 350, 1, { client: 'neighbour get' }));
    expect(found()).toEqual(['late']);
    judge.observe(seen(late + 400, 1));
    expect(found()).toEqual(['late', 'late']);
  });

  it('condemns an older value once a newer was seen by anybody, and on one stream at once', () => {
    judge.observe(seen(10, 2));
    // This call began before the other was answered.
    judge.observe(seen(12, 1, { from: 9 }));
    expect(found()).toEqual([]);
    judge.observe(seen(13, 1, { from: 11, client: 'neighbour get' }));
    expect(found()).toEqual(['older-after-newer']);
    judge.observe(seen(14, 2, { kind: 'snapshot', client: 'watch#1' }));
    judge.observe(seen(15, 1, { kind: 'snapshot', client: 'watch#2' }));
    expect(found()).toHaveLength(1);
    judge.observe(seen(16, 1, { kind: 'snapshot', client: 'watch#1' }));
    expect(found()).toHaveLength(2);
  });

  it.each(['s', 's:A', 'caller:supervisor'])('condemns what is not permitted any more (%s)', (name) => {
    history.permit(name, false, 100, 50);
    judge.observe(seen(150, 2));
    expect(found()).toEqual([]);
    judge.observe(seen(152, 2));
    expect(found()).toEqual(['late']);
    history.permit(name, true, 153, 50);
    judge.observe(seen(500, 2));
    expect(found()).toEqual(['late']);
  });
});

describe('service', () => {
  it('condemns what is mounted and not served in time, and what is served no more for no reason', () => {
    judge.observe(seen(10, undefined));
    judge.observe(seen(SERVED_WITHIN_MS, undefined));
    expect(found()).toEqual([]);
    judge.observe(seen(SERVED_WITHIN_MS + 2, undefined));
    expect(found()).toEqual(['behind']);
    judge.observe(seen(SERVED_WITHIN_MS + 3, 1));
    history.died(SERVED_WITHIN_MS + 4);
    const excuse = history.excuse(0);
    excuse.until = SERVED_WITHIN_MS + 5;
    judge.observe(seen(SERVED_WITHIN_MS + 6, undefined));
    expect(found()).toEqual(['behind']);
    judge.observe(seen(SERVED_WITHIN_MS + 8, 1));
    judge.observe(seen(SERVED_WITHIN_MS + 10, undefined));
    expect(found()).toEqual(['behind', 'withdrawn-without-cause']);
  });

  it('condemns a call without an answer, unless there was an excuse shortly before', () => {
    history.excuse(0).until = 1_000;
    judge.failed('supervisor get', 1_500, 1_600, 'unavailable');
    judge.failed('supervisor get', 1_000 + ANSWERED_AFTER_MS - 1, 4_000, 'unavailable');
    expect(found()).toEqual([]);
    judge.failed('supervisor get', 1_000 + ANSWERED_AFTER_MS + 1, 4_000, 'unavailable');
    expect(found()).toEqual(['unserved']);
  });

  it('condemns a slow recovery, a byte for a stranger, and a run that does not settle', () => {
    judge.recovered(0, RECOVERED_WITHIN_MS, idle);
    judge.stranger(1, 0, 'flood');
    judge.settled(seen(2, 1));
    expect(found()).toEqual([]);
    judge.recovered(0, RECOVERED_WITHIN_MS + 1, idle);
    judge.stranger(1, 1, 'flood');
    history.wrote('s', 2, ['A'], 2, 3);
    judge.settled(seen(4, 1));
    expect(found()).toEqual(['slow-recovery', 'stranger-served', 'behind']);
  });
});

describe('a machine without time', () => {
  it.each([
    [
      'for a bare node',
      { ...idle, bareStartMs: BARE_START_WITHIN_MS + 1 },
      1_001,
      'the watch had a snapshot 1001 ms after kill -9, 0 ms of it without a core; a bare node beside it took 251 ms',
    ],
    [
      'for the process that had to act',
      { ...idle, coreWaitMs: 300 },
      1_300,
      'the watch had a snapshot 1300 ms after kill -9, 300 ms of it without a core; a bare node beside it took 250 ms',
    ],
  ])('excuses a late recovery on a busy machine, but not a missing one: %s', (_, busy, at, what) => {
    judge.recovered(0, RECOVERED_WITHIN_MS, busy);
    expect(judge.notJudged).toEqual([]);
    judge.recovered(0, at, busy);
    expect(found()).toEqual([]);
    expect(judge.notJudged).toEqual([{ at, what }]);
    judge.recovered(0, undefined, busy);
    expect(found()).toEqual(['slow-recovery']);
  });

  it('excuses no more than the time without a core', () => {
    judge.recovered(0, 1_301, { ...idle, coreWaitMs: 300 });
    expect(found()).toEqual(['slow-recovery']);
  });
});

describe('names', () => {
  it('condemns one revision for two contents, and a handle that changes', () => {
    judge.observe(seen(10, 1, { revision: '7', handles: { 's:A': 'one' } }));
    judge.observe(seen(11, 1, { revision: '7', handles: { 's:A': 'one' } }));
    expect(found()).toEqual([]);
    history.wrote('s', 2, ['A', 'B'], 12, 13);
    judge.observe(seen(14, 2, { revision: '7', handles: { 's:A': 'two' } }));
    expect(found()).toEqual(['revision-reused', 'handle-changed']);
  });
});

describe('clear time', () => {
  it('counts time that several excuses cover once', () => {
    history.excuse(10).until = 30;
    history.excuse(20).until = 40;
    history.excuse(25).until = 28;
    history.excuse(90);
    expect(history.clearMs(0, 100, 'any')).toBe(60);
    expect(history.clearMs(35, 15, 'any')).toBe(0);
  });
});
