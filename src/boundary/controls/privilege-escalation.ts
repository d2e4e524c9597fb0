import { DANGEROUS_CAPABILITIES } from '../../domain/kubernetes.ts';
import { asMap } from '../../manifest/data.ts';
import { type Control, cel, fail, listed, pass, unknown } from '../control.ts';
import { beside, isSupervisor } from './shared/pod.ts';
import { foreign, isPause, named, trusted, trustOf } from './shared/processes.ts';

const REMEDY =
  'securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}} in its container';

/**
 * Enforced, for a boundary that holds only until somebody runs `su` is not proven: its image chooses what setuid
 * programs there are, and one that waits for a password is root with all that the bounding set lets through. In a
 * user namespace below ours the bounding set is full and means nothing, as the capabilities there do.
 */
export const privilegeEscalation: Control = {
  id: 'privilege-escalation',
  group: 'processes',
  severity: 'enforce',
  threat:
    'In a shared PID namespace a setuid program such as su makes a neighbour root beside the resolver, which refuses to serve there.',
  promise: 'No process in sight can gain a capability that reaches into the resolver.',
  checkId: 'process-escalation',
  failsDuringExec: true,
  check: (facts, config) => {
    const able = foreign(facts).filter(
      (process) =>
        process.noNewPrivileges !== true &&
        process.userNamespace !== 'below' &&
        !isPause(process) &&
        !process.runtimeInit &&
        process.bounding.some((name) => DANGEROUS_CAPABILITIES.has(name)),
    );
    const faults = able.filter((process) => trustOf(process, config) !== 'trusted');
    if (faults.length === 0)
      return pass(
        'each has no_new_privs or a bounding set without dangerous capabilities',
        able.map(trusted),
      );
    const sure = faults.filter(({ noNewPrivileges }) => noNewPrivileges === false);
    return sure.length > 0
      ? fail(
          `${listed(sure.map(named))}: NoNewPrivs 0, so a setuid program in its image could gain them`,
          REMEDY,
        )
      : unknown(
          `${listed(faults.map(named))}: this kernel does not show NoNewPrivs, and its bounding set has them`,
          REMEDY,
        );
  },
  rule: {
    remedy:
      'Write securityContext.allowPrivilegeEscalation: false for the container, or take out shareProcessNamespace.',
    *find(subject) {
      if (subject.pod.spec.shareProcessNamespace !== true) return;
      for (const container of beside(subject)) {
        if (asMap(container.data.securityContext).allowPrivilegeEscalation === false) continue;
        // A supervisor may be what boundary.trusted names, which no manifest tells: the resolver checks it at its start.
        if (isSupervisor(subject, container)) continue;
        yield {
          path: container.path,
          message: `container ${container.name} may gain privileges, in one PID namespace with the resolver`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      !object.spec.?shareProcessNamespace.orValue(false)
      || variables.beside.all(c,
        (c.name in variables.supervisors && c.name != variables.agent)
        || !c.?securityContext.?allowPrivilegeEscalation.orValue(true))`,
    message: 'a container that may gain privileges shares a PID namespace with the resolver',
  },
};
