/** Findings for people and programs: a table for one screen, JSON, and one HTML file without anything from outside. */
import { printable } from '../domain/printable.ts';
import { CHECKS } from './catalogue.ts';
import type { Group } from './control.ts';
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

export interface TableOptions {
  readonly colour: boolean;
  /** Spell out the checks that passed, too. */
  readonly all: boolean;
}

type Mark = 'FAIL' | 'warn' | 'note' | 'ok';

const COLOURS: Readonly<Record<Mark, string>> = { FAIL: '31;1', warn: '33', note: '36', ok: '32' };

function mark(finding: Finding): Mark {
  if (finding.outcome === 'pass') return 'ok';
  switch (finding.severity) {
    case 'enforce':
      return 'FAIL';
    case 'warn':
      return 'warn';
    case 'info':
      return 'note';
  }
}

function verdictText({ state, findings }: Report): string {
  switch (state) {
    case 'proven':
      return provenText(exceptionsOf(findings));
    case 'broken':
      return 'the isolation boundary is broken: nothing is served';
    case 'relaxed':
      return 'boundary check failed; serving anyway because of --relaxed';
  }
}

/** What is wrong comes first, each with the line to write; what passed is counted, or listed with `all`. */
export function renderTable(report: Report, options: TableOptions): string {
  const paint = (text: string, code: string) => (options.colour ? `\x1b[${code}m${text}\x1b[0m` : text);
  const lines: string[] = [];
  for (const wanted of ['FAIL', 'warn', 'note', 'ok'] as const) {
    const matching = report.findings.filter((finding) => mark(finding) === wanted);
    if (wanted === 'ok' && !options.all) {
      if (matching.length > 0) lines.push(`${paint('ok  ', COLOURS.ok)}  ${passedText(matching)}`);
      continue;
    }
    for (const finding of matching) {
      const unknown = finding.outcome === 'unknown' ? ' (unknown)' : '';
      lines.push(
        `${paint(wanted.padEnd(4), COLOURS[wanted])}  ${paint(finding.id, '1')}${unknown}: ${printable(finding.evidence)}`,
      );
      if (finding.remedy !== '') lines.push(`      write: ${printable(finding.remedy)}`);
    }
  }
  const broken = breaches(report.findings).length;
  const verdict = verdictText(report);
  lines.push(
    '',
    ...exceptionsOf(report.findings).map((each) => `exception: ${printable(each)}`),
    broken === 0
      ? paint(`${verdict} (${report.findings.length} checks)`, COLOURS.ok)
      : paint(`${verdict} (${broken} of ${report.findings.length} checks failed)`, COLOURS.FAIL),
  );
  return `${lines.join('\n')}\n`;
}

function passedText(passed: readonly Finding[]): string {
  const counts = new Map<Group, number>();
  for (const { id } of passed) {
    const group = CHECKS.find((check) => check.id === id)?.group;
    if (group !== undefined) counts.set(group, (counts.get(group) ?? 0) + 1);
  }
  const parts = [...counts].map(([group, count]) => `${group} ${count}`);
  return `${passed.length} checks passed (${parts.join(', ')}); --all lists them`;
}

export function renderJson(report: Report): string {
  return `${JSON.stringify({ ...report, exceptions: exceptionsOf(report.findings) }, null, 2)}\n`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1b1f24; }
  h1 { font-size: 1.4rem; } .state { font-weight: 600; padding: .5rem .75rem; border-left: .4rem solid; }
  .proven { border-color: #1a7f37; background: #e6f4ea; } .broken, .relaxed { border-color: #b42318; background: #fdecea; }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .4rem .6rem;
  border-bottom: 1px solid #d0d7de; } code { font-size: .9em; overflow-wrap: anywhere; }
  .FAIL { color: #b42318; font-weight: 700; } .warn { color: #8a5300; font-weight: 600; } .note { color: #0b5cad; } .ok { color: #1a7f37; }
  @media print { body { margin: 0; } }`;

/** A page that a review can file: no script, nothing loaded from anywhere. */
export function renderHtml(report: Report): string {
  const rows = report.findings.map((finding) => {
    const promise = CHECKS.find((check) => check.id === finding.id)?.promise ?? '';
    const label = finding.outcome === 'unknown' ? `${mark(finding)} (unknown)` : mark(finding);
    const remedy = finding.remedy === '' ? '' : `<br>Write: <code>${escapeHtml(finding.remedy)}</code>`;
    return `<tr><td class="${mark(finding)}">${label}</td><td><code>${escapeHtml(finding.id)}</code><br>${escapeHtml(promise)}</td><td>${escapeHtml(finding.severity)}</td><td>${escapeHtml(finding.evidence)}${remedy}</td></tr>`;
  });
  const { sandbox } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Isolation of ${escapeHtml(sandbox.name)}</title>
<style>${STYLE}
</style>
</head>
<body>
<h1>Isolation of sandbox ${escapeHtml(sandbox.name)}</h1>
<p>Id <code>${escapeHtml(sandbox.id)}</code>, namespace <code>${escapeHtml(sandbox.namespace)}</code>,
taken ${new Date(report.checkedAtMs).toISOString()} by secret-resolver ${escapeHtml(report.version)}.</p>
<p class="state ${report.state}">${escapeHtml(verdictText(report))}</p>
<ul>${exceptionsOf(report.findings)
    .map((each) => `<li>${escapeHtml(each)}</li>`)
    .join('')}</ul>
<table>
<thead><tr><th>Result</th><th>Check</th><th>Severity</th><th>Seen</th></tr></thead>
<tbody>
${rows.join('\n')}
</tbody>
</table>
</body>
</html>
`;
}
