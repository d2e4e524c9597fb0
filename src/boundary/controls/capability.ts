import {
  DANGEROUS_CAPABILITIES,
  HARMLESS_CAPABILITIES,
  SUPERVISOR_CAPABILITIES,
} from '../../domain/kubernetes.ts';
import { EGRESS } from '../../manifest/names.ts';
import { runsBesideResolver } from '../../manifest/pod.ts';
import { type Control, cel, fail, listed, pass } from '../control.ts';
import { isSupervisor, securityPath } from './shared/pod.ts';
import { foreign, isPause, named, trusted, trustOf } from './shared/processes.ts';

const NAMES = [...DANGEROUS_CAPABILITIES.keys()];

export const capability: Control = {
  id: 'capability',
  group: 'processes',
  severity: 'enforce',
  threat:
    "The capability lets a process become the resolver's UID, read its memory, end it, or pass the modes of its files.",
  promise: 'No other container has a capability that reaches into the resolver.',
  checkId: 'process-capabilities',
  failsDuringExec: true,
  check: (facts, config) => {
    const accepted: string[] = [];
    const exceptions: string[] = [];
    const faults: string[] = [];
    let unverifiable = false;
    for (const process of foreign(facts)) {
      const held = NAMES.filter((name) => process.capabilities.includes(name));
      if (held.length === 0 || process.userNamespace === 'below') continue;
      if (process.runtimeInit) {
        accepted.push(`${named(process)}: the container runtime on its way into a container`);
        continue;
      }
      const text = `${named(process)} holds ${held.join(', ')}`;
      const trust = trustOf(process, config);
      if (isPause(process)) accepted.push(`${text}: the pod's sandbox process`);
      else if (trust === 'trusted') {
        accepted.push(`${text}: trusted by the configuration`);
        exceptions.push(trusted(process));
      } else {
        unverifiable ||= trust === 'unverifiable';
        const note = `: a trusted entry names an exe, and the kernel does not let us read /proc/${process.pid}/exe`;
        faults.push(trust === 'unverifiable' ? text + note : text);
      }
    }
    if (faults.length === 0)
      return pass(accepted.length === 0 ? `none has ${NAMES.join(', ')}` : listed(accepted), exceptions);
    return fail(
      listed(faults),
      unverifiable
        ? 'boundary.trusted: [{uid: <its UID>}] without exe, if you trust every process of that UID'
        : 'securityContext.capabilities.drop: [ALL] in its container, or boundary.trusted: [{uid: <its UID>}]',
    );
  },
  rule: {
    remedy: `Take it out of capabilities.add, and write drop: [ALL]; ${HARMLESS_CAPABILITIES.join(', ')} alone is allowed.`,
    *find(subject) {
      const { pod, resolver } = subject;
      for (const container of pod.containers) {
        for (const name of container.addedCapabilities) {
          if (container !== resolver && HARMLESS_CAPABILITIES.some((each) => each === name)) continue;
          const path = securityPath(container, 'capabilities', 'add');
          const message = `container ${container.name} adds ${name}`;
          const reaches = DANGEROUS_CAPABILITIES.get(name);
          const ofSupervisor = SUPERVISOR_CAPABILITIES.some((each) => each === name);
          if (isSupervisor(subject, container) && ofSupervisor && container.name !== EGRESS) {
            // A network supervisor that attributes connections to processes needs some: it is trusted with the values anyway.
            if (reaches !== undefined)
              yield { path, message: `${message}, which puts it inside the trusted base`, severity: 'note' };
          } else if (
            container === resolver ||
            runsBesideResolver(pod, container) ||
            name === 'ALL' ||
            reaches !== undefined
          )
            yield { path, message: reaches === undefined ? message : `${message}, which ${reaches}` };
        }
      }
    },
  },
  expression: {
    cel: cel`
      variables.containers.all(c, c.?securityContext.?capabilities.?add.orValue([]).all(k,
        (c.name != "secret-resolver" && (
          k.matches("${pattern(HARMLESS_CAPABILITIES)}")
          || (!variables.beside.exists(b, b.name == c.name) && !k.matches("${pattern(['ALL', ...NAMES])}"))))
        || (c.name in variables.supervisors && !(c.name in [variables.agent, "${EGRESS}"]) && k.matches("${pattern(SUPERVISOR_CAPABILITIES)}"))))`,
    message: `a container adds a capability other than ${HARMLESS_CAPABILITIES.join(', ')}`,
  },
};

function pattern(names: readonly string[]): string {
  return `^(?i)(CAP_)?(${names.join('|')})$`;
}
