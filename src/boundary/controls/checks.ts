/** All checks, and the verdict over what they found. Pure: no I/O, no clock. */
import type { Config } from '../../config/config.ts';
import type { Facts } from '../facts/facts.ts';
import { type Check, type Finding, fail, pass } from '../finding.ts';
import { MOUNT_CHECKS } from './checks-mounts.ts';
import { PROCESS_CHECKS } from './checks-processes.ts';
import { SELF_CHECKS } from './checks-self.ts';
import { SOCKET_CHECKS } from './checks-socket.ts';

/** `boundary.warn` and `boundary.trusted` weaken the boundary: what they say belongs in every report. */
const exceptions: Check = {
  id: 'config-exceptions',
  group: 'configuration',
  title: 'no exception from the checks',
  severity: 'warn',
  judge: (_, config) => {
    const { warn, trusted } = config.boundary;
    const enforced = new Set(CHECKS.filter(({ severity }) => severity === 'enforce').map(({ id }) => id));
    const idle = warn.filter((id) => !enforced.has(id));
    if (idle.length > 0) {
      return fail(
        `boundary.warn names no enforced check with ${idle.join(', ')}`,
        `boundary.warn: [${warn.filter((id) => enforced.has(id)).join(', ')}]`,
      );
    }
    if (warn.length === 0 && trusted.length === 0)
      return pass('boundary.warn and boundary.trusted are empty');
    const trust = trusted.map(({ uid, exe }) => `UID ${uid}${exe === undefined ? '' : ` with ${exe}`}`);
    return fail(
      [
        ...(warn.length === 0 ? [] : [`only warns: ${warn.join(', ')}`]),
        ...(trust.length === 0 ? [] : [`trusted: ${trust.join(', ')}`]),
      ].join('; '),
      'boundary: {}: once the exceptions are no longer needed',
    );
  },
};

/** In the order of a report. */
export const CHECKS: readonly Check[] = [
  ...SELF_CHECKS,
  ...MOUNT_CHECKS,
  ...PROCESS_CHECKS,
  ...SOCKET_CHECKS,
  exceptions,
];

const FAIL_DURING_EXEC: ReadonlySet<string> = new Set(
  CHECKS.filter(({ failsDuringExec }) => failsDuringExec === true).map(({ id }) => id),
);

/** One finding for each check. */
export function runChecks(facts: Facts, config: Config): Finding[] {
  return CHECKS.map((check) => {
    const verdict = check.judge(facts, config);
    const lowered = check.severity === 'enforce' && config.boundary.warn.includes(check.id);
    return {
      id: check.id,
      severity: lowered ? 'warn' : check.severity,
      outcome: verdict.outcome,
      evidence: lowered ? `${verdict.evidence} (only warns: boundary.warn)` : verdict.evidence,
      remedy: verdict.outcome === 'pass' ? '' : verdict.remedy,
    };
  });
}

/** `relaxed`: an enforced check failed, and --relaxed serves all the same. */
export type BoundaryState = 'proven' | 'broken' | 'relaxed';

/** The findings that keep the resolver from serving. What could not be found out counts as broken. */
export function breaches(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ severity, outcome }) => severity === 'enforce' && outcome !== 'pass');
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
