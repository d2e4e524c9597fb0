/** The catalogue of controls, and its checks, rules and attacks in the order in which they are shown and made. */
import type { Rule } from '../manifest/rule.ts';
import { type Attack, FAMILIES } from './attacks/types.ts';
import { type Control, GROUPS } from './control.ts';
import * as registry from './controls/index.ts';

/** Severities of a control as lint and the reports name them. */
export const LEVELS = { enforce: 'error', warn: 'warning', info: 'note' } as const;

export const CONTROLS: readonly Control[] = Object.values<Control>(registry).toSorted(
  (a, b) => GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group),
);

export const CHECKS = CONTROLS.flatMap(({ check, id, checkId = id, ...control }) =>
  check === undefined ? [] : [{ ...control, check, id: checkId }],
);

export const RULES: readonly Rule[] = CONTROLS.flatMap(({ id, severity, threat, rule }) =>
  rule === undefined ? [] : [{ ...rule, id, severity: LEVELS[severity], why: threat }],
);

export const ATTACKS: readonly Attack[] = CONTROLS.flatMap(({ attacks }) => attacks ?? []).toSorted(
  (a, b) => FAMILIES.indexOf(a.family) - FAMILIES.indexOf(b.family),
);
