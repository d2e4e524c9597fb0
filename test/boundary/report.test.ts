import { describe, expect, it } from 'vitest';
import type { Finding } from '../../src/boundary/finding.ts';
import { type Report, renderTable, reportData } from '../../src/boundary/report.ts';
import { renderHtml } from '../../src/boundary/report-html.ts';
import { describeAsRoot } from '../support/root.ts';
import { AGENT_UID, GOOD_POD, RESOLVER_UID, runPod, unprivileged } from './pod.ts';

const HOSTILE = `pid 7 (<script>alert("1")</script>, UID 1000)`;

function report(...findings: Finding[]): Report {
  return {
    version: '1.2.3',
    checkedAtMs: Date.UTC(2026, 10, 23),
    sandbox: { id: 'sb-1', name: 'a&b', namespace: 'tenant' },
    state: 'broken',
    findings,
  };
}

const FAILED: Finding = {
  id: 'process-same-uid',
  severity: 'enforce',
  outcome: 'fail',
  evidence: HOSTILE,
  remedy: 'securityContext.runAsUser: 10771',
};
const PASSED: Finding = {
  id: 'self-uid',
  severity: 'enforce',
  outcome: 'pass',
  evidence: 'UID 10771',
  remedy: '',
};

describe('the table', () => {
  it('says what is wrong and what to write, and counts what passed', () => {
    expect(renderTable(report(PASSED, FAILED), { colour: false, all: false })).toBe(
      `error: ${HOSTILE} [process-same-uid]
    fix: securityContext.runAsUser: 10771
1 checks passed (self 1); --all lists them

the isolation boundary is broken: nothing is served (1 of 2 checks failed)
`,
    );
  });

  it('lists what passed when asked', () => {
    expect(renderTable(report(PASSED), { colour: false, all: true })).toContain('ok: UID 10771 [self-uid]\n');
  });

  it('says so where a fact could not be taken', () => {
    const text = renderTable(report({ ...FAILED, outcome: 'unknown' }), { colour: false, all: false });
    expect(text).toContain('error: unknown: pid 7 ');
  });

  it('has colour only when told', () => {
    expect(renderTable(report(FAILED), { colour: true, all: false })).toContain(
      '\x1b[31m\x1b[1merror\x1b[22m\x1b[39m: ',
    );
    expect(renderTable(report(FAILED), { colour: false, all: false })).not.toContain('\x1b');
  });
});

describe('the HTML report', () => {
  const html = renderHtml(report(PASSED, FAILED));

  it('loads nothing and runs nothing', () => {
    expect(html).not.toMatch(/<script|<link|<img|src=|href=|url\(|@import/i);
    expect(html).toContain("default-src 'none'");
  });

  it('escapes what others chose', () => {
    expect(html).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;');
    expect(html).toContain('sandbox a&amp;b');
  });

  it('has a row for each finding, with the remedy', () => {
    expect(html.match(/<tr><td|<article/g)).toHaveLength(2);
    expect(html).toContain('<code>securityContext.runAsUser: 10771</code>');
  });
});

describe('JSON', () => {
  it('is the report, whole', () => {
    const given = report(PASSED, FAILED);
    expect(reportData(given)).toEqual({ ...given, exceptions: [] });
  });
});

describeAsRoot('check as a person sees it', () => {
  it('says in one screen what is wrong with a broken pod, and the line to write', async () => {
    const { code, stdout } = await runPod('one-screen', {
      ...GOOD_POD,
      processNamespace: 'shared',
      seccomp: 'none',
      readOnlyRoot: false,
      neighbours: [
        { identity: unprivileged(AGENT_UID), volumes: 'secret' },
        { identity: unprivileged(RESOLVER_UID) },
      ],
      program: 'app/src/main.ts check --config pod/etc/config.yaml',
    });
    expect(code).toBe(1);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.length).toBeLessThanOrEqual(24);
    for (const line of [
      '    fix: securityContext.seccompProfile: {type: RuntimeDefault}',
      '    fix: securityContext.readOnlyRootFilesystem: true',
      "    fix: volumeMounts: take the Secret (or the hostPath of kubelet's folder) out of that container",
      `    fix: securityContext.runAsUser: on each container, and ${RESOLVER_UID} on ours alone (not on the pod)`,
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.at(-1)).toBe('the isolation boundary is broken: nothing is served (4 of 38 checks failed)');
  });

  it('files a page for a review', async () => {
    const { code, stdout } = await runPod('html', {
      ...GOOD_POD,
      program: 'app/src/main.ts check --config pod/etc/config.yaml --output html',
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^<!doctype html>/);
    expect(stdout).toContain('the isolation boundary is proven');
  });
});
