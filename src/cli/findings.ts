/** How findings in files are printed, by `config validate` and `profile lint`. */
import type { ConfigFinding } from '../config/finding.ts';
import { formatIssue } from '../domain/errors.ts';

/** One line: severity, place, what to write, and whose rule it is. */
export function findingLine({ severity, by, issue }: ConfigFinding): string {
  const whose = by === 'both' ? 'OpenShell, secret-resolver' : by;
  return `${severity}: ${formatIssue(issue)} [${whose}]\n`;
}

/** The same for programs. */
export function findingData({ severity, by, issue }: ConfigFinding) {
  return { severity, by: by === 'both' ? ['OpenShell', 'secret-resolver'] : [by], ...issue };
}

export function countLine(findings: readonly ConfigFinding[]): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return `${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}`;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
