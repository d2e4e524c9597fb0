/** When rounds come and what they decide, on a clock of the test's own. Processes are played; their checks are real names. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Facts } from '../../src/boundary/facts/facts.ts';
import type { ProcessFacts } from '../../src/boundary/facts/facts-processes.ts';
import type { Finding } from '../../src/boundary/finding.ts';
import { CONFIRM_MS, ROUND_INTERVAL_MS, Rounds } from '../../src/boundary/rounds.ts';
import { RUNTIME_INIT_MS } from '../../src/domain/runtimes.ts';

/** Time goes on only when told to, and everything that is due happens in its order. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A process, and when it exists. */
interface Played {
  readonly pid: number;
  readonly from: number;
  readonly until?: number;
  readonly fails?: 'process-capabilities' | 'process-same-uid' | 'process-secret-mounts';
  readonly outcome?: 'fail' | 'unknown';
  readonly runtime?: true;
}

function play(processes: readonly Played[], options: { relaxed?: boolean; lookFails?: () => boolean } = {}) {
  const start = performance.now();
  const clock = {
    get time() {
      return performance.now() - start;
    },
    advance: (ms: number) => vi.advanceTimersByTimeAsync(ms),
  };
  const controller = new AbortController();
  const looks: number[] = [];
  const again: number[] = [];
  const broken: string[][] = [];
  const passed: string[][] = [];
  let rounds = 0;
  const seen = ({ runtime, ...process }: Played) => {
    const runtimeInit = runtime === true && clock.time - process.from < RUNTIME_INIT_MS;
    return { ...process, runtimeInit, startTime: process.from } as unknown as ProcessFacts;
  };
  const present = () =>
    processes.filter(({ from, until = Number.POSITIVE_INFINITY }) => {
      return from <= clock.time && clock.time < until;
    });
  const factsOf = (others: readonly ProcessFacts[]) =>
    ({ processes: { others, hiding: [], unreadable: [] } }) as unknown as Facts;
  const machine = new Rounds({
    look: async () => {
      looks.push(clock.time);
      if (options.lookFails?.() === true) throw Object.assign(new Error('no'), { code: 'EMFILE' });
      return factsOf(present().map(seen));
    },
    lookAgain: async (_facts, suspects) => {
      again.push(clock.time);
      return factsOf(
        present()
          .map(seen)
          .filter(({ pid, startTime }) =>
            suspects.some((one) => one.pid === pid && one.startTime === startTime),
          ),
      );
    },
    judge: (facts) =>
      (facts.processes.others as unknown as (Played & { runtimeInit: boolean })[]).flatMap(
        ({ pid, fails, outcome = 'fail', runtimeInit }): Finding[] =>
          fails === undefined || runtimeInit
            ? []
            : [{ id: fails, severity: 'enforce', outcome, evidence: `pid ${pid}`, remedy: '' }],
      ),
    relaxed: options.relaxed ?? false,
    signal: controller.signal,
  });
  const ids = (findings: readonly Finding[]) => findings.map(({ id, evidence }) => `${id}: ${evidence}`);
  const run = () =>
    machine.run({
      onRound: () => {
        rounds++;
      },
      onPassed: (findings) => passed.push(ids(findings)),
      onBroken: (findings) => broken.push(ids(findings)),
    });
  return { clock, controller, machine, run, looks, again, broken, passed, rounds: () => rounds };
}

const TRACER = { pid: 7, fails: 'process-capabilities' } as const;

describe('rounds', () => {
  it('come within 15 s, and soon for a new UID', async () => {
    expect(ROUND_INTERVAL_MS + CONFIRM_MS).toBeLessThan(15_000);
    const { clock, machine, run, looks, controller } = play([]);
    const ended = run();
    await clock.advance(20_000);
    machine.checkSoon();
    machine.checkSoon();
    await clock.advance(20_000);
    expect(looks).toEqual([12_500, 20_050, 32_550]);
    controller.abort();
    await ended;
    await clock.advance(60_000);
    expect(looks).toHaveLength(3);
  });

  it('are shared by those who ask meanwhile, and one more follows that which had begun', async () => {
    const { clock, machine, run, looks } = play([]);
    void run();
    for (let asked = 0; asked < 3; asked++) machine.checkSoon();
    await clock.advance(50);
    machine.checkSoon();
    await clock.advance(1_000);
    expect(looks).toEqual([50, 100]);
  });

  it('end with a process that has our UID, at once and once only', async () => {
    const { clock, machine, run, looks, again, broken } = play([
      { pid: 7, from: 1_000, fails: 'process-same-uid' },
    ]);
    const ended = run();
    await clock.advance(60_000);
    await ended;
    expect(broken).toEqual([['process-same-uid: pid 7']]);
    expect([looks, again]).toEqual([[ROUND_INTERVAL_MS], []]);
    machine.checkSoon();
    await clock.advance(60_000);
    expect(looks).toHaveLength(1);
  });

  it('go on when relaxed, and end nothing', async () => {
    const { clock, run, broken, rounds } = play([{ pid: 7, from: 0, fails: 'process-same-uid' }], {
      relaxed: true,
    });
    void run();
    await clock.advance(26_000);
    expect([rounds(), broken]).toEqual([2, []]);
  });

  it.each(['fail', 'unknown'] as const)(
    'read a suspect (%s) again every 100 ms, and end when it stays',
    async (outcome) => {
      const { clock, run, again, broken } = play([{ ...TRACER, from: 0, outcome }]);
      void run();
      await clock.advance(12_550);
      expect(again).toEqual([]);
      await clock.advance(450);
      expect(again).toEqual([12_600, 12_700, 12_800, 12_900, 13_000]);
      expect(broken).toEqual([]);
      await clock.advance(CONFIRM_MS);
      expect(broken).toEqual([['process-capabilities: pid 7']]);
      expect(again.at(-1)).toBe(ROUND_INTERVAL_MS + CONFIRM_MS);
    },
  );

  it('report a suspect that is gone, and end nothing', async () => {
    const { clock, run, again, broken, passed } = play([{ ...TRACER, from: 0, until: 12_650 }]);
    void run();
    await clock.advance(35_000);
    expect(again).toEqual([12_600, 12_700]);
    expect([passed, broken]).toEqual([[['process-capabilities: pid 7']], []]);
  });

  it('do not take another process with the same PID for the suspect', async () => {
    const { clock, run, broken } = play([
      { ...TRACER, from: 0, until: 12_650 },
      { ...TRACER, from: 12_650, until: 24_000 },
    ]);
    void run();
    await clock.advance(60_000);
    expect(broken).toEqual([]);
  });

  it('excuse three in a row whose suspects are gone, and not a fourth', async () => {
    const forks = Array.from({ length: 200 }, (_, at) => ({
      ...TRACER,
      pid: at,
      from: at * 500,
      until: at * 500 + 500,
    }));
    const { clock, run, broken, passed } = play(forks);
    void run();
    await clock.advance(3 * ROUND_INTERVAL_MS + CONFIRM_MS);
    expect([passed.length, broken.length]).toEqual([3, 0]);
    await clock.advance(ROUND_INTERVAL_MS);
    expect([passed.length, broken.length]).toEqual([4, 1]);
  });

  it('find nothing in the container runtime on its way into a container', async () => {
    const execs = Array.from({ length: 20 * 60 }, (_, at) => ({
      ...TRACER,
      pid: at,
      from: at * 50,
      until: at * 50 + 200,
      runtime: true as const,
    }));
    const { clock, run, broken, passed, looks } = play(execs);
    void run();
    await clock.advance(60_000);
    expect([passed, broken]).toEqual([[], []]);
    expect(looks.length).toBeGreaterThanOrEqual(4);
  });

  it('end with a runtime that is still entering after some seconds, within 15 s of its start', async () => {
    const from = ROUND_INTERVAL_MS - 1;
    const { clock, run, broken } = play([{ ...TRACER, from, runtime: true }]);
    void run();
    await clock.advance(from + 15_000);
    expect(broken).toEqual([['process-capabilities: pid 7']]);
  });

  it('excuse a shortage of descriptors for a round of the timer, and not for a third', async () => {
    const { clock, run, broken } = play([], { lookFails: () => true });
    void run();
    await clock.advance(2 * ROUND_INTERVAL_MS + 1_000);
    expect(broken).toEqual([]);
    await clock.advance(ROUND_INTERVAL_MS);
    expect(broken).toEqual([['process-view: facts could not be taken: EMFILE']]);
  });
});

describe('the start', () => {
  async function prove(processes: readonly Played[], ms = 20_000) {
    const played = play(processes);
    const proof = played.machine.prove();
    await played.clock.advance(ms);
    return { ...played, proof };
  }

  it('takes one round where nothing is wrong', async () => {
    const { proof, looks } = await prove([]);
    expect((await proof).broken).toEqual([]);
    expect(looks).toEqual([0]);
  });

  it('takes another where a suspect was gone, and reports it', async () => {
    const { proof, looks } = await prove([{ ...TRACER, from: 0, until: 250 }]);
    const { broken, passed } = await proof;
    expect([broken.length, passed.length, looks.length]).toEqual([0, 1, 2]);
  });

  it('fails where a suspect stays, and where each round has another', async () => {
    expect((await (await prove([{ ...TRACER, from: 0 }])).proof).broken).toHaveLength(1);
    const forks = Array.from({ length: 99 }, (_, pid) => ({
      ...TRACER,
      pid,
      from: pid * 500,
      until: pid * 500 + 500,
    }));
    const { proof, looks } = await prove(forks);
    const { broken, passed } = await proof;
    expect([broken.length, passed.length, looks.length]).toEqual([1, 0, 3]);
  });

  it('lets what was seen stand where it is asked to end meanwhile', async () => {
    const { proof, controller, clock } = await prove([{ ...TRACER, from: 0, until: 1_000 }], 500);
    controller.abort();
    await clock.advance(10_000);
    expect((await proof).broken).toHaveLength(1);
  });
});
