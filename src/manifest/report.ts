/** Findings as text, JSON and SARIF. */
import type { Log, Result } from 'sarif';
import type { Finding, LintResult } from './lint.ts';
import type { Rule, Severity } from './rule.ts';

const COLOURS: Readonly<Record<Severity, string>> = {
  error: '\u001b[31m',
  warning: '\u001b[33m',
  note: '\u001b[36m',
};
const RESET = '\u001b[0m';

/** Three lines a finding: where and what, why, and what to do. */
export function textReport(result: LintResult, colour: boolean): string {
  const paint = (severity: Severity) => (colour ? `${COLOURS[severity]}${severity}${RESET}` : severity);
  const lines = result.findings.map(
    (finding) =>
      `${finding.file}:${finding.line}:${finding.column}: ${paint(finding.severity)}: ${finding.message} [${finding.rule}]\n` +
      `    ${finding.object}: ${finding.path}\n` +
      `    why: ${finding.why}\n` +
      `    fix: ${finding.remedy}\n`,
  );
  const count = (severity: Severity) =>
    result.findings.filter((finding) => finding.severity === severity).length;
  const checked = result.checked.length === 0 ? 'nothing to check' : `checked ${result.checked.join(', ')}`;
  return `${lines.join('')}${checked}: ${count('error')} errors, ${count('warning')} warnings, ${count('note')} notes\n`;
}

export function jsonReport(result: LintResult): string {
  return `${JSON.stringify(result, null, 2)}\n`;
}

/** SARIF 2.1.0, which code scanning takes. */
export function sarifReport(result: LintResult, rules: readonly Rule[], version: string): string {
  const sarif: Log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'secret-resolver lint',
            version,
            rules: rules.map(({ id, severity, why, remedy }) => ({
              id,
              shortDescription: { text: id.replaceAll('-', ' ') },
              fullDescription: { text: why },
              help: { text: remedy },
              defaultConfiguration: { level: severity },
            })),
          },
        },
        columnKind: 'utf16CodeUnits',
        results: result.findings.map((finding) => sarifResult(finding, rules)),
      },
    ],
  };
  return `${JSON.stringify(sarif, null, 2)}\n`;
}

function sarifResult(finding: Finding, rules: readonly Rule[]): Result {
  return {
    ruleId: finding.rule,
    ruleIndex: rules.findIndex(({ id }) => id === finding.rule),
    level: finding.severity,
    message: { text: `${finding.object}: ${finding.message}. ${finding.remedy}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: artifactUri(finding.file) },
          region: { startLine: finding.line, startColumn: finding.column },
        },
        logicalLocations: [{ fullyQualifiedName: finding.path, kind: 'element' }],
      },
    ],
  };
}

/** A relative or absolute path as a URI reference. */
function artifactUri(file: string): string {
  const path = file.split('/').map(encodeURIComponent).join('/');
  return file.startsWith('/') ? `file://${path}` : path;
}
