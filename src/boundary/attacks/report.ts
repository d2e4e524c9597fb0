/** The report for a person: a table, then what was found with all its places. */
import { styleText } from 'node:util';
import { printable } from '../../domain/printable.ts';
import { COLUMNS, wrapped } from '../../domain/wrapped.ts';
import type { AttackReport, Outcome, SelfTestReport } from './types.ts';

/** Characters of an answer in a table of 80 columns. */
const ANSWER_WIDTH = COLUMNS - 24 - 17;

/** Draws the report. With `colour`, with the escapes of a terminal; answers are cut to 80 columns unless it is `wide`. */
export function formatReport(report: SelfTestReport, colour: boolean, wide = true): string {
  const cut = (text: string) =>
    wide || text.length <= ANSWER_WIDTH ? text : `${text.slice(0, ANSWER_WIDTH - 1)}…`;
  const shown = (line: string) => (wide ? line : wrapped(line, 4));
  const paint = (outcome: Outcome, text: string) =>
    colour ? styleText(COLOURS[outcome], text, { validateStream: false }) : text;
  const rows = report.attacks.map(
    (attack) =>
      `${attack.id.padEnd(24)}${paint(attack.outcome, outcomeText(attack).padEnd(17))}${cut(printable(attack.reason))}`,
  );
  const { agent } = report;
  const groups = agent.groups.length > 0 ? `, groups ${agent.groups.join(' ')}` : '';
  const lines = [
    shown(`Attacked as uid ${agent.uid}, gid ${agent.gid}${groups}, capabilities ${agent.capabilities}`),
    `  socket ${report.socketPath}`,
    `  secrets ${report.secretsRoot}`,
    '',
    `${'ATTACK'.padEnd(24)}${'OUTCOME'.padEnd(17)}ANSWER`,
    ...rows,
    ...report.attacks
      .filter(({ outcome }) => outcome === 'broken' || outcome === 'unclear')
      .flatMap((attack) => [`\n${paint(attack.outcome, shown(heading(attack)))}`, ...details(attack)]),
    conclusion(report, paint, wide ? ' ' : '\n'),
  ];
  return `${lines.join('\n')}\n`;
}

const COLOURS = { held: 'green', broken: 'red', unclear: 'yellow', 'not-applicable': 'gray' } as const;

function outcomeText({ outcome, accepted }: AttackReport): string {
  return accepted && outcome !== 'held' ? `${outcome}*` : outcome;
}

function heading(attack: AttackReport): string {
  const accepted = attack.accepted ? ' (accepted on the command line)' : '';
  return `${attack.id}: ${attack.outcome}${accepted}: ${attack.what}`;
}

function details(attack: AttackReport): string[] {
  const lines = attack.tries
    .filter(({ verdict }) => verdict !== 'held')
    .map(({ target, answer }) => `  ${printable(target)}: ${printable(answer)}`);
  if (attack.omitted > 0) lines.push(`  and ${attack.omitted} further tries`);
  lines.push(`  held would be: ${attack.rightReasons.join(', ')}`);
  return lines;
}

function conclusion(
  report: SelfTestReport,
  paint: (outcome: Outcome, text: string) => string,
  gap: string,
): string {
  const { counts } = report;
  const numbers = `${counts.held} held, ${counts.broken} broken, ${counts.unclear} unclear, ${counts['not-applicable']} not applicable`;
  const tried = report.attacks.length > counts['not-applicable'];
  const verdict = report.passed
    ? paint('held', 'The boundary held.')
    : tried
      ? paint('broken', 'The boundary did not hold: do not start the agent here.')
      : paint('broken', 'Nothing was attacked, so nothing is shown: run it beside a running resolver.');
  return `\n${verdict}${gap}${numbers}, in ${(report.durationMs / 1000).toFixed(1)} s`;
}
