/** Findings as text for one screen, and as data. */
import { styleText } from 'node:util';
import { findingText, type PrintedFinding } from '../domain/finding-text.ts';
import { printable } from '../domain/printable.ts';
import { wrapped } from '../domain/wrapped.ts';
import { CHECKS, LEVELS } from './catalogue.ts';
import type { Finding } from './finding.ts';
import { type BoundaryState, breaches, exceptionsOf, provenText } from './verdict.ts';

export interface Report {
  readonly version: string;
  /** Unix milliseconds. */
  readonly checkedAtMs: number;
  readonly sandbox: { readonly id: string; readonly name: string; readonly namespace: string };
  readonly state: BoundaryState;
  readonly findings: readonly Finding[];
}

export type Severity = PrintedFinding['severity'];

export function severityOf({ outcome, severity }: Finding): Severity {
  return outcome === 'pass' ? 'ok' : LEVELS[severity];
}

/** Failures first. */
export function sorted(findings: readonly Finding[]): Finding[] {
  const order: readonly Severity[] = ['error', 'warning', 'note', 'ok'];
  return findings.toSorted((a, b) => order.indexOf(severityOf(a)) - order.indexOf(severityOf(b)));
}

export function messageOf({ outcome, evidence }: Finding): string {
  return outcome === 'unknown' ? `unknown: ${evidence}` : evidence;
}

export function verdictText({ state, findings }: Report): string {
  switch (state) {
    case 'proven':
      return provenText(exceptionsOf(findings));
    case 'broken':
      return 'the isolation boundary is broken: nothing is served';
    case 'relaxed':
      return 'boundary check failed; serving anyway because of --relaxed';
  }
}

/** What is wrong comes first, each with what to write; what passed is counted, or listed with `all`. */
export function renderTable(report: Report, { colour, all }: { colour: boolean; all: boolean }): string {
  const findings = sorted(report.findings);
  const passed = findings.filter(({ outcome }) => outcome === 'pass');
  const lines = findings
    .filter((finding) => all || !passed.includes(finding))
    .map((finding) => {
      const { id: rule, remedy: fix } = finding;
      return findingText({ severity: severityOf(finding), message: messageOf(finding), rule, fix }, colour);
    });
  if (!all && passed.length > 0) lines.push(`${wrapped(passedText(passed), 2)}\n`);
  const broken = breaches(report.findings).length;
  const exceptions = exceptionsOf(report.findings).map((each) => `exception: ${printable(each)}\n`);
  const total = report.findings.length;
  const counts = broken === 0 ? `${total} checks` : `${broken} of ${total} checks failed`;
  const verdict = wrapped(`${verdictText(report)} (${counts})`, 2);
  const style = broken === 0 ? 'green' : 'red';
  const shown = colour ? styleText(style, verdict, { validateStream: false }) : verdict;
  return `${lines.join('')}\n${exceptions.join('')}${shown}\n`;
}

function passedText(passed: readonly Finding[]): string {
  const groups = Map.groupBy(passed, (finding) => CHECKS.find(({ id }) => id === finding.id)?.group);
  const parts = [...groups].map(([group, { length }]) => `${group} ${length}`);
  return `${passed.length} checks passed (${parts.join(', ')}); --all lists them`;
}

export function reportData(report: Report) {
  return { ...report, exceptions: exceptionsOf(report.findings) };
}
