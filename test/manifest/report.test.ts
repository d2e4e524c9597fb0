import { describe, expect, it } from 'vitest';
import { RULES } from '../../src/boundary/catalogue.ts';
import { inject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { sarifReport, textReport } from '../../src/manifest/report.ts';
import { readInput, requestFor } from './support.ts';

const text = inject(requestFor(readInput('pod.yaml'))).text.replace(
  'restartPolicy: Always',
  'restartPolicy: Never',
);
const broken = text.replace('spec:\n', 'spec:\n  hostPID: true\n');
const result = lint({ file: 'a folder/pod.yaml', text: broken, choice: {}, rules: RULES });

describe('lint reports', () => {
  it('text: place, message, rule, why and fix; colour only where asked for', () => {
    const report = textReport(result, false);
    expect(report).toContain(
      'a folder/pod.yaml:11:3: error: hostPID is true [host-pid]\n    Pod agent-pod: spec.hostPID\n',
    );
    expect(report).toMatch(/\n {4}why: With hostPID .*\n {4}fix: Take out hostPID\.\n/);
    expect(report).toMatch(/checked Pod agent-pod: 2 errors, 0 warnings, 0 notes\n$/);
    expect(report).not.toContain('\u001b');
    expect(textReport(result, true)).toContain('\u001b[31m\u001b[1merror\u001b[22m\u001b[39m');
  });

  /** What SARIF 2.1.0 and code scanning ask of a log; the types of the format are checked by the compiler. */
  it('sarif: a log of version 2.1.0 whose results name rules and regions', () => {
    const log = JSON.parse(sarifReport(result, RULES, '1.2.3'));
    expect(log.version).toBe('2.1.0');
    expect(log.runs).toHaveLength(1);
    const { tool, results } = log.runs[0];
    expect(tool.driver.rules.map((rule: { id: string }) => rule.id)).toEqual(RULES.map(({ id }) => id));
    expect(results).toHaveLength(result.findings.length);
    for (const entry of results) {
      expect(tool.driver.rules[entry.ruleIndex].id).toBe(entry.ruleId);
      expect(['error', 'warning', 'note', 'none']).toContain(entry.level);
      expect(entry.message.text).not.toBe('');
      const { artifactLocation, region } = entry.locations[0].physicalLocation;
      expect(artifactLocation.uri).toBe('a%20folder/pod.yaml');
      expect(() => new URL(artifactLocation.uri, 'file:///')).not.toThrow();
      expect(region.startLine).toBeGreaterThan(0);
      expect(region.startColumn).toBeGreaterThan(0);
    }
  });
});
