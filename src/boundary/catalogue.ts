/** The catalogue of controls, and its checks, rules and attacks in the order in which they are shown and made. */
import type { Rule } from '../manifest/rule.ts';
import { type Attack, FAMILIES } from './attacks/types.ts';
import { type Control, GROUPS } from './control.ts';
import * as registry from './controls/index.ts';
import type { Severity } from './finding.ts';

/** Severities of a control as lint and the reports name them. */
export const LEVELS = { enforce: 'error', warn: 'warning', info: 'note' } as const satisfies Record<
  Severity,
  string
>;

export const CONTROLS: readonly Control[] = inOrder(
  Object.values<Control>(registry),
  GROUPS,
  ({ group }) => group,
);

export const CHECKS = CONTROLS.flatMap(({ check, id, checkId = id, ...control }) =>
  check === undefined ? [] : [{ ...control, check, id: checkId }],
);

export const RULES: readonly Rule[] = CONTROLS.flatMap(({ id, severity, threat, rule }) =>
  rule === undefined ? [] : [{ ...rule, id, severity: LEVELS[severity], why: threat }],
);

export const ATTACKS: readonly Attack[] = inOrder(
  CONTROLS.flatMap(({ attacks }) => attacks ?? []),
  FAMILIES,
  ({ family }) => family,
);

function inOrder<T, K>(items: readonly T[], order: readonly K[], key: (item: T) => K): T[] {
  return order.flatMap((part) => items.filter((item) => key(item) === part));
}
