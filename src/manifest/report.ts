/** Findings as text, JSON and SARIF. */
import type { Location, Log, Notification, Result } from 'sarif';
import { findingText } from '../domain/finding-text.ts';
import { printable } from '../domain/printable.ts';
import { wrapped } from '../domain/wrapped.ts';
import type { Finding, LintResult } from './lint.ts';
import type { Rule, Severity } from './rule.ts';

/** What, where, why, and what to do. */
export function textReport(result: LintResult, colour: boolean, wide = false): string {
  const lines = result.findings.map((finding) => lintFindingText(finding, colour));
  const count = (severity: Severity) =>
    result.findings.filter((finding) => finding.severity === severity).length;
  const checked =
    result.checked.length === 0 ? 'nothing to check' : `checked ${printable(result.checked.join(', '))}`;
  const unread = [...new Set(result.errors.map(({ file }) => file))];
  const tail =
    unread.length === 0 ? '' : `; not checked, because it cannot be read: ${printable(unread.join(', '))}`;
  const last = `${checked}: ${count('error')} errors, ${count('warning')} warnings, ${count('note')} notes${tail}`;
  return `${lines.join('')}${wide ? last : wrapped(last, 4)}\n`;
}

export function lintFindingText(finding: Finding, colour: boolean): string {
  const { file, line, column, severity, message, rule, object, path, why, remedy } = finding;
  const place = `${file}:${line}:${column}`;
  return findingText(
    { place, severity, message, rule, where: `${object}: ${path}`, why, fix: remedy },
    colour,
  );
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
        invocations: [
          {
            executionSuccessful: result.errors.length === 0,
            toolExecutionNotifications: [
              ...result.errors.map(({ file, line, column, field, message, hint }): Notification => {
                const text = `${field === '' ? '' : `${field}: `}${message} (${hint})`;
                return { level: 'error', message: { text }, locations: [location(file, line, column)] };
              }),
              ...result.passed.map(
                (text): Notification => ({ level: 'note', message: { text: `not checked: ${text}` } }),
              ),
            ],
          },
        ],
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
        ...location(finding.file, finding.line, finding.column),
        logicalLocations: [{ fullyQualifiedName: finding.path, kind: 'element' }],
      },
    ],
  };
}

/** Line 0 is the file as a whole. */
function location(file: string, line: number, column: number): Location {
  return {
    physicalLocation: {
      artifactLocation: { uri: artifactUri(file) },
      ...(line === 0 ? {} : { region: { startLine: line, startColumn: column } }),
    },
  };
}

/** A relative or absolute path as a URI reference. */
function artifactUri(file: string): string {
  const path = file.split('/').map(encodeURIComponent).join('/');
  return file.startsWith('/') ? `file://${path}` : path;
}
