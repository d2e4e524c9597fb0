import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { formatReport } from '../../src/boundary/attacks/report.ts';
import { type RunOptions, runSelfTest } from '../../src/boundary/attacks/runner.ts';
import type { Attack } from '../../src/boundary/attacks/types.ts';
import { newSecret } from '../support/secrets.ts';
import { NOTHING_KNOWN } from './attack-context.ts';

function attack(id: string, run: Attack['run'], budgetMs = 200): Attack {
  return { id, family: 'files', what: `does ${id}`, rightReasons: ['EACCES'], budgetMs, run };
}

const HELD = attack('held', (_, tries) => tries.held('it', 'EACCES'));
const UNCLEAR = attack('unclear', (_, tries) => tries.unclear('it', 'EIO'));
const BROKEN = attack('broken', (_, tries) => {
  tries.held('one', 'EACCES');
  tries.broken('two', '12 bytes read');
  tries.unclear('three', 'EIO');
});
const ABSENT = attack('absent', (_, tries) => tries.notApplicable('nothing exists'));

function options(attacks: readonly Attack[], changes: Partial<RunOptions> = {}): RunOptions {
  return {
    context: NOTHING_KNOWN,
    attacks,
    accepted: [],
    lenient: false,
    signal: new AbortController().signal,
    ...changes,
  };
}

describe('run of the self-test', () => {
  it('takes the worst try for the outcome of an attack, and lists it first', async () => {
    const { attacks, counts } = await runSelfTest(options([HELD, BROKEN, UNCLEAR, ABSENT]));
    expect(attacks.map(({ outcome, reason }) => `${outcome}: ${reason}`)).toEqual([
      'held: EACCES',
      'broken: two: 12 bytes read',
      'unclear: it: EIO',
      'not-applicable: nothing exists',
    ]);
    expect(attacks[1]?.tries.map(({ target }) => target)).toEqual(['two', 'three', 'one']);
    expect(counts).toEqual({ held: 1, broken: 1, unclear: 1, 'not-applicable': 1 });
  });

  it.for([
    { attacks: [HELD, ABSENT], changes: {}, passed: true },
    { attacks: [ABSENT, ABSENT], changes: { lenient: true }, passed: false },
    { attacks: [], changes: {}, passed: false },
    { attacks: [HELD, UNCLEAR], changes: {}, passed: false },
    { attacks: [HELD, UNCLEAR], changes: { lenient: true }, passed: true },
    { attacks: [HELD, BROKEN], changes: { lenient: true }, passed: false },
    { attacks: [HELD, BROKEN], changes: { accepted: ['held'] }, passed: false },
    { attacks: [HELD, BROKEN], changes: { accepted: ['broken'] }, passed: true },
  ])('passes or not: case %#', async ({ attacks, changes, passed }) => {
    expect((await runSelfTest(options(attacks, changes))).passed).toBe(passed);
  });

  it('fits its table into 80 columns unless it is wide, and says so if nothing was attacked', async () => {
    const long = attack('a-long-answer', (_, tries) => tries.unclear(`/proc/${'x'.repeat(90)}`, 'EIO'));
    const report = await runSelfTest(options([HELD, long]));
    const rows = (wide: boolean) =>
      /^ATTACK.*\n(?:\S.*\n)+/m.exec(formatReport(report, false, wide))?.[0] ?? '';
    expect(
      Math.max(
        ...rows(false)
          .split('\n')
          .map(({ length }) => length),
      ),
    ).toBe(80);
    expect(rows(true)).toContain('x'.repeat(90));
    const nothing = await runSelfTest(options([ABSENT]));
    expect(formatReport(nothing, false)).toContain('Nothing was attacked, so nothing is shown');
  });

  it('calls an attack that fails to run unclear, and repeats no word of its error', async () => {
    const secret = newSecret();
    const failing = attack('failing', () => {
      throw new Error(`could not parse ${secret}`);
    });
    const report = await runSelfTest(options([failing, HELD]));
    expect(report.attacks[0]).toMatchObject({ outcome: 'unclear', reason: 'could not be made: Error' });
    expect(report.attacks[1]?.outcome).toBe('held');
    expect(JSON.stringify(report)).not.toContain(secret);
    expect(formatReport(report, false)).not.toContain(secret);
  });

  it('calls an attack unclear whose time is over, whatever it says later, and goes on', async () => {
    const slow = attack(
      'slow',
      async (_, tries) => {
        await sleep(400);
        tries.held('it', 'EACCES');
      },
      50,
    );
    const report = await runSelfTest(options([slow, HELD]));
    expect(report.attacks.map(({ outcome }) => outcome)).toEqual(['unclear', 'held']);
    expect(report.attacks[0]?.reason).toContain('the time of the attack was over');
    expect(report.passed).toBe(false);
  });

  it('makes no further attack once it is told to stop, and does not pass', async () => {
    const controller = new AbortController();
    const stopping = attack('stopping', (_, tries) => {
      tries.held('it', 'EACCES');
      controller.abort();
    });
    const report = await runSelfTest(options([stopping, HELD], { signal: controller.signal }));
    expect(report.attacks[1]).toMatchObject({ outcome: 'unclear' });
    expect(report.passed).toBe(false);
  });

  it('counts the tries that it does not list', async () => {
    const many = attack('many', (_, tries) => {
      for (let i = 0; i < 100; i++) tries.held(`process ${i}`, 'EACCES');
      tries.broken('process 100', '1 bytes read');
    });
    const [report] = (await runSelfTest(options([many]))).attacks;
    expect(report?.tries).toHaveLength(64);
    expect(report?.tries[0]).toMatchObject({ verdict: 'broken' });
    expect(report?.omitted).toBe(37);
  });
});

describe('report of the self-test', () => {
  it('shows what was found with the answers that would have been right, and ends with the verdict', async () => {
    const text = formatReport(await runSelfTest(options([HELD, BROKEN])), false);
    expect(text).toMatch(/^held +held +EACCES$/m);
    expect(text).toMatch(/^broken +broken +two: 12 bytes read$/m);
    expect(text).toContain(
      'broken: broken: does broken\n  two: 12 bytes read\n  three: EIO\n  held would be: EACCES\n',
    );
    expect(text).toMatch(/The boundary did not hold: do not start the agent here\. 1 held, 1 broken/);
  });

  it('lets no name that others choose drive the terminal', async () => {
    const evil = attack('evil', (_, tries) => tries.broken('pid 7 (\x1b[2J\x9b1m\r\n)', '1 bytes read'));
    const text = formatReport(await runSelfTest(options([evil])), false);
    expect(text).toContain('pid 7 (\\x1b[2J\\x9b1m\\x0d\\x0a)');
    expect(text).not.toContain('\x1b');
  });

  it('has colours only where they were asked for', async () => {
    const report = await runSelfTest(options([HELD]));
    expect(formatReport(report, true)).toContain('\x1b[32m');
    expect(formatReport(report, false)).not.toContain('\x1b');
  });
});
