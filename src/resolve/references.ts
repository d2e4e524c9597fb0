import type { ReferenceRule, SecretReference } from '../config/config.ts';
import { matchGlob } from '../config/glob.ts';

/** Whether the operator lists the reference. Nothing is allowed that no rule names. */
export function referenceAllowed(rules: readonly ReferenceRule[], reference: SecretReference): boolean {
  return rules.some(
    (rule) =>
      rule.namespace === reference.namespace &&
      matchGlob(rule.name, reference.name) &&
      rule.keys.some((key) => matchGlob(key, reference.key)),
  );
}
