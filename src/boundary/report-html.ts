/** The report as one HTML file that a review can keep: no script, and nothing loaded from anywhere. */
import { printable } from '../domain/printable.ts';
import { CHECKS } from './catalogue.ts';
import type { Finding } from './finding.ts';
import { messageOf, type Report, severityOf, sorted, verdictText } from './report.ts';
import { exceptionsOf } from './verdict.ts';

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

/** Both themes have a contrast of 4.5:1 or more. Narrow screens get a block in place of each row. */
const STYLE = `
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --page: #fff; --code: #f2f4f6;
  --error: #b42318; --warning: #8a5300; --note: #0b5cad; --ok: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9ba5b0; --line: #373e47; --page: #14181d;
  --code: #22272e; --error: #ff8f85; --warning: #e3a33c; --note: #79b8ff; --ok: #5fd07a; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem;
  color: var(--text); background: var(--page); overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, ul { margin: .5rem 0; } .soft { color: var(--soft); } code { font-size: .9em; background: var(--code); padding: .1em .3em; border-radius: .2em; }
.state { font-weight: 600; border-left: .3rem solid; padding: .5rem .8rem; background: var(--code); }
.proven { border-color: var(--ok); } .broken, .relaxed { border-color: var(--error); }
article { border: 1px solid var(--line); border-left: .3rem solid; padding: .6rem .9rem; margin: .6rem 0; border-radius: .2rem; }
article p { margin: .3rem 0; color: var(--text); } b { font-weight: 600; }
article.error { border-left-color: var(--error); } article.warning { border-left-color: var(--warning); } article.note { border-left-color: var(--note); }
.error b { color: var(--error); } .warning b { color: var(--warning); } .note b { color: var(--note); } h2.ok { color: var(--ok); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } td { vertical-align: top; padding: .4rem .8rem .4rem 0; border-top: 1px solid var(--line); }
td:first-child { white-space: nowrap; }
@media screen and (max-width: 45rem) { table, tbody, tr, td { display: block; } tr { border-top: 1px solid var(--line); padding: .5rem 0; }
  td { border: 0; padding: .1rem 0; } }
@media print { :root { color-scheme: light; --text: #000; --soft: #444; --line: #bbb; --page: #fff; --code: #f4f4f4;
  --error: #b42318; --warning: #8a5300; --note: #0b5cad; --ok: #1a7f37; }
  @page { size: A4; margin: 12mm; } body { font-size: 8pt; line-height: 1.25; max-width: none; padding: 0; } h1 { font-size: 14pt; }
  h2 { font-size: 10pt; margin: 3mm 0 1mm; } article, tr { break-inside: avoid; } article { margin: 1mm 0; padding: .5mm 2mm; } article p { margin: 0; } td br { display: none; }
  table { font-size: 7.5pt; line-height: 1.2; } td { padding: .5mm 2mm .5mm 0; } }`;

/** What failed comes first, each with what to do; what passed is a table below. */
export function renderHtml(report: Report): string {
  const { sandbox } = report;
  const findings = sorted(report.findings);
  const passed = findings.filter(({ outcome }) => outcome === 'pass');
  const failed = findings.filter((finding) => !passed.includes(finding));
  const exceptions = exceptionsOf(report.findings).map((each) => `<li>${escapeHtml(each)}</li>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Isolation of ${escapeHtml(sandbox.name)}</title>
<style>${STYLE}
</style>
</head>
<body>
<h1>Isolation of sandbox ${escapeHtml(sandbox.name)}</h1>
<p class="soft">Namespace <code>${escapeHtml(sandbox.namespace)}</code>, id <code>${escapeHtml(sandbox.id)}</code>. Checked
${new Date(report.checkedAtMs).toISOString()} by secret-resolver ${escapeHtml(report.version)}.</p>
<p class="state ${report.state}">${escapeHtml(verdictText(report))}. ${failed.length} of ${findings.length} checks did not pass.</p>
${exceptions.length === 0 ? '' : `<h2>Exceptions</h2>\n<ul>${exceptions.join('')}</ul>\n`}${failed.map(article).join('\n')}
<h2 class="ok">${passed.length} checks passed</h2>
<table>
<tbody>
${passed.map(row).join('\n')}
</tbody>
</table>
</body>
</html>
`;
}

function promiseOf({ id }: Finding): string {
  return escapeHtml(CHECKS.find((check) => check.id === id)?.promise ?? '');
}

function article(finding: Finding): string {
  const severity = severityOf(finding);
  const fix = finding.remedy === '' ? '' : `<p>Fix: <code>${escapeHtml(finding.remedy)}</code></p>`;
  return `<article class="${severity}"><b>${severity}</b> <code>${escapeHtml(finding.id)}</code> <span class="soft">${promiseOf(finding)}</span>
<p>${escapeHtml(messageOf(finding))}</p>${fix}</article>`;
}

function row(finding: Finding): string {
  return `<tr><td><code>${escapeHtml(finding.id)}</code></td><td>${promiseOf(finding)}<br> <span class="soft">${escapeHtml(finding.evidence)}</span></td></tr>`;
}
