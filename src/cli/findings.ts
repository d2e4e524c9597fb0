/** How findings in files are printed, by `config validate` and `profile lint`. */
import type { ConfigFinding } from '../config/finding.ts';
import { placeOf } from '../domain/errors.ts';
import { findingText } from '../domain/finding-text.ts';
import type { CommandContext } from './context.ts';
import { wantsColour } from './output.ts';

export function findingsText(context: CommandContext, findings: readonly ConfigFinding[]): string {
  const lines = findings.map(({ severity, by, issue }) => {
    const { field, message, hint } = issue;
    const text = {
      place: placeOf(issue),
      severity,
      message: field === '' ? message : `${field}: ${message}`,
      rule: whose(by).join(', '),
      fix: hint,
    };
    return findingText(text, wantsColour(context));
  });
  return lines.join('');
}

/** The same for programs. */
export function findingData({ severity, by, issue: { hint, ...issue } }: ConfigFinding) {
  return { severity, by: whose(by), ...issue, remedy: hint };
}

function whose(by: ConfigFinding['by']): string[] {
  return by === 'both' ? ['OpenShell', 'secret-resolver'] : [by];
}

export function countLine(findings: readonly ConfigFinding[]): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return `${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}`;
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
