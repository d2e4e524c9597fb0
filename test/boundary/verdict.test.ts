import { describe, expect, it } from 'vitest';
import { breaches, judge, relaxedRefusal } from '../../src/boundary/controls/checks.ts';
import type { Finding, Outcome, Severity } from '../../src/boundary/finding.ts';

function finding(severity: Severity, outcome: Outcome): Finding {
  return { id: 'self-uid', severity, outcome, evidence: 'seen', remedy: 'write' };
}

describe('judge', () => {
  it.each([
    ['enforce', 'pass', 'proven', 'proven'],
    ['enforce', 'fail', 'broken', 'relaxed'],
    ['enforce', 'unknown', 'broken', 'relaxed'],
    ['warn', 'fail', 'proven', 'proven'],
    ['warn', 'unknown', 'proven', 'proven'],
    ['info', 'fail', 'proven', 'proven'],
  ] as const)('%s that ends in %s: %s, with --relaxed %s', (severity, outcome, strict, relaxed) => {
    const findings = [finding('enforce', 'pass'), finding(severity, outcome)];
    expect(judge(findings, { relaxed: false })).toBe(strict);
    expect(judge(findings, { relaxed: true })).toBe(relaxed);
    expect(breaches(findings)).toHaveLength(strict === 'broken' ? 1 : 0);
  });
});

describe('relaxedRefusal', () => {
  it('refuses in a pod, whatever the variable holds', () => {
    expect(relaxedRefusal({ KUBERNETES_SERVICE_HOST: '10.0.0.1' })).toMatch(/--relaxed is for laptops/);
    expect(relaxedRefusal({ KUBERNETES_SERVICE_HOST: '' })).toBeDefined();
  });

  it('lets a laptop pass', () => {
    expect(relaxedRefusal({ HOME: '/home/dev' })).toBeUndefined();
  });
});
