import { describe, expect, it } from 'vitest';
import { CHECKS } from '../../src/boundary/catalogue.ts';
import type { Finding } from '../../src/boundary/finding.ts';
import type { Report } from '../../src/boundary/report.ts';
import { describeAsRoot } from '../support/root.ts';
import { ARRANGEMENTS, type Arrangement, USUAL } from './arrangements.ts';
import { GOOD_POD, runPod } from './pod.ts';

function expectedFailures(arrangement: Arrangement): string[] {
  const usual = USUAL.filter((id) => arrangement.passes?.includes(id) !== true);
  return [...usual, ...arrangement.fails].sort();
}

describe('the table of arrangements', () => {
  const failing = ARRANGEMENTS.map(expectedFailures);

  it.each(CHECKS.map(({ id }) => id))('has one that fails %s and one that passes it', (id) => {
    expect(
      failing.some((ids) => ids.includes(id)),
      'an arrangement that fails it',
    ).toBe(true);
    expect(
      failing.some((ids) => !ids.includes(id)),
      'an arrangement that passes it',
    ).toBe(true);
  });

  it('names only checks that there are', () => {
    const known = CHECKS.map(({ id }) => id);
    for (const ids of failing) expect(known).toEqual(expect.arrayContaining(ids));
  });
});

describeAsRoot('check, in a real arrangement', () => {
  it.each(ARRANGEMENTS)('$name', async (arrangement) => {
    const run = await runPod(arrangement.name, { ...GOOD_POD, ...arrangement.spec });
    expect(run.stdout, run.stderr).toMatch(/^\{/);
    const report = JSON.parse(run.stdout) as Report;
    const failed = report.findings.filter(({ outcome }) => outcome !== 'pass');
    const judged = failed.filter(({ id }) => arrangement.mayFail?.includes(id) !== true);

    expect(judged.map(({ id }) => id).sort(), describeFindings(judged)).toEqual(
      expectedFailures(arrangement),
    );
    for (const finding of failed) expect(finding.remedy, finding.id).not.toBe('');
    for (const part of ['evidence', 'remedy'] as const) {
      for (const [id, pattern] of Object.entries(arrangement[part] ?? {})) {
        expect(report.findings.find((finding) => finding.id === id)?.[part], id).toMatch(pattern);
      }
    }
    const broken = failed.some(({ severity }) => severity === 'enforce');
    expect(report.state).toBe(broken ? 'broken' : 'proven');
    expect(run.code).toBe(broken ? 1 : 0);
  });
});

function describeFindings(findings: readonly Finding[]): string {
  return findings.map(({ id, evidence }) => `${id}: ${evidence}`).join('\n');
}
