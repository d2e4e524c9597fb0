import type { Facts } from '../../facts/facts.ts';

/** Names a step that hardening could not take, after the evidence of the check that fails because of it. */
export function refusedStep({ self }: Facts, step: string): string {
  const failure = self.hardening.failed.find((each) => each.step === step);
  return failure === undefined ? '' : `; the kernel refused to change it (${failure.code})`;
}
