/** How every command prints a finding. */
import { styleText } from 'node:util';
import { printable } from './printable.ts';

export interface PrintedFinding {
  /** `file:line:column`, which editors turn into a link; empty where no file is at fault. */
  readonly place?: string;
  readonly severity: 'error' | 'warning' | 'note' | 'ok';
  readonly message: string;
  /** Id of the rule or check, or whose rule it is. */
  readonly rule: string;
  /** Lines below: where in the object, why, and what to do. */
  readonly where?: string;
  readonly why?: string;
  readonly fix?: string;
}

const COLOURS = { error: ['red', 'bold'], warning: 'yellow', note: 'cyan', ok: 'green' } as const;

/** `place: severity: message [rule]`, and what belongs to it on indented lines. */
export function findingText(finding: PrintedFinding, colour: boolean): string {
  const { place = '', severity, message, rule, where, why, fix = '' } = finding;
  const shown = colour ? styleText(COLOURS[severity], severity, { validateStream: false }) : severity;
  return [
    `${place === '' ? '' : `${printable(place)}: `}${shown}: ${printable(message)} [${printable(rule)}]\n`,
    where === undefined ? '' : `    ${printable(where)}\n`,
    why === undefined ? '' : `    why: ${printable(why)}\n`,
    fix === '' ? '' : `    fix: ${printable(fix)}\n`,
  ].join('');
}
