import { describe, expect, it } from 'vitest';
import { gatherFacts } from '../../src/boundary/facts/facts.ts';
import type { Finding, Outcome, Severity } from '../../src/boundary/finding.ts';
import { breaches, judge, relaxedRefusal, runChecks } from '../../src/boundary/verdict.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { Workspace } from '../support/workspace.ts';

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

describe('a process whose mounts cannot be read', () => {
  it('fails what needs them: a check that could not look is no check that passed', async () => {
    using workspace = new Workspace();
    const config = loadConfig(workspace.configFile, {});
    const facts = await gatherFacts(config, { hardening: { hadNoNewPrivileges: undefined, failed: [] } });
    const one = facts.processes.others.find(({ kernelThread }) => !kernelThread);
    if (one === undefined) throw new Error('no process to play with');
    const others = [{ ...one, container: 'unreadable' as const, secretMounts: [], socketMounts: [] }];
    const findings = runChecks({ ...facts, processes: { others, hiding: [], unreadable: [] } }, config);
    for (const id of ['process-secret-mounts', 'process-socket-mounts']) {
      expect(findings.find((finding) => finding.id === id)).toMatchObject({
        outcome: 'unknown',
        evidence: expect.stringMatching(`^pid ${one.pid} .*: its mounts cannot be read`),
      });
    }
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
