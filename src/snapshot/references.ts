import type { ReferenceRule, SecretName, SecretReference } from '../config/config.ts';
import { matchGlob } from '../domain/glob.ts';

/** Whether the operator lists the reference. Nothing is allowed that no rule names. */
export function referenceAllowed(rules: readonly ReferenceRule[], reference: SecretReference): boolean {
  return rules.some(
    (rule) => namesSecret(rule, reference) && rule.keys.some((key) => matchGlob(key, reference.key)),
  );
}

export function secretAllowed(rules: readonly ReferenceRule[], secret: SecretName): boolean {
  return rules.some((rule) => namesSecret(rule, secret) && rule.keys.length > 0);
}

export function namesSecret(rule: ReferenceRule, secret: SecretName): boolean {
  return rule.namespace === secret.namespace && matchGlob(rule.name, secret.name);
}
