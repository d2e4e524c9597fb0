/** The verdict over what the checks found. Pure: no I/O, no clock. */
import type { Config } from '../config/config.ts';
import { CHECKS } from './catalogue.ts';
import type { Facts } from './facts/facts.ts';
import type { Finding } from './finding.ts';

const ENFORCED: ReadonlySet<string> = new Set(
  CHECKS.filter(({ severity }) => severity === 'enforce').map(({ id }) => id),
);
const FAIL_DURING_EXEC: ReadonlySet<string> = new Set(
  CHECKS.filter(({ failsDuringExec }) => failsDuringExec === true).map(({ id }) => id),
);

/** One finding for each check. */
export function runChecks(facts: Facts, config: Config): Finding[] {
  return CHECKS.map(({ id, severity, check }) => {
    const { outcome, evidence, remedy, replacedBy, exceptions: passed = [] } = check(facts, config, ENFORCED);
    const listed = severity === 'enforce' && config.boundary.warn.includes(id);
    const replaced = replacedBy === undefined ? [] : [replacedBy];
    const waived = listed && outcome !== 'pass' ? ['waived by boundary.warn'] : [];
    const notes = [...(listed ? ['only warns: boundary.warn'] : []), ...replaced];
    const exceptions = [...passed, ...waived, ...replaced];
    return {
      id,
      severity: notes.length > 0 ? 'warn' : severity,
      outcome,
      evidence: [evidence, ...notes.map((note) => `(${note})`)].join(' '),
      remedy,
      ...(exceptions.length === 0 ? {} : { exceptions }),
    };
  });
}

/** `relaxed`: an enforced check failed; serving anyway because of --relaxed. */
export type BoundaryState = 'proven' | 'broken' | 'relaxed';

/** The findings that keep the resolver from serving. An unknown outcome counts as broken. */
export function breaches(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ severity, outcome }) => severity === 'enforce' && outcome !== 'pass');
}

/** What the verdict rests on although a check was made to stop it: `mount-tmpfs: waived by boundary.warn`. */
export function exceptionsOf(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ id, exceptions }) => (exceptions ?? []).map((each) => `${id}: ${each}`));
}

/** `the isolation boundary is proven, with 2 exceptions`. */
export function provenText(exceptions: readonly string[]): string {
  return `the isolation boundary is proven${withExceptions(exceptions)}`;
}

/** `, with 2 exceptions`; empty for none. */
export function withExceptions({ length }: readonly string[]): string {
  return length === 0 ? '' : `, with ${length} ${length === 1 ? 'exception' : 'exceptions'}`;
}

/** Whether there are breaches, and all may be the container runtime on its way into a container, which is over in a moment. */
export function mayPassByThemselves(broken: readonly Finding[]): boolean {
  return broken.length > 0 && broken.every(({ id }) => FAIL_DURING_EXEC.has(id));
}

export function judge(findings: readonly Finding[], options: { readonly relaxed: boolean }): BoundaryState {
  if (breaches(findings).length === 0) return 'proven';
  return options.relaxed ? 'relaxed' : 'broken';
}

/**
 * Why --relaxed is refused here, or undefined where it is allowed: a laptop has no Kubernetes service
 * environment, and kubelet puts this variable in every container whether the pod wants service links or not.
 */
export function relaxedRefusal(env: Readonly<Record<string, string | undefined>>): string | undefined {
  return env.KUBERNETES_SERVICE_HOST === undefined
    ? undefined
    : '--relaxed is for laptops, and KUBERNETES_SERVICE_HOST says that this is a pod: leave it out, and name single checks in boundary.warn if you must';
}
