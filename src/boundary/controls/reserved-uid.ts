import { DEFAULT_UID, RESERVED_UIDS, UNMAPPED_UID } from '../../domain/kubernetes.ts';
import { type Control, cel, celList, fail, pass } from '../control.ts';
import { securityPath } from './shared/pod.ts';

export const reservedUid: Control = {
  id: 'reserved-uid',
  group: 'self',
  severity: 'enforce',
  threat:
    'Reserved UIDs are those of root, of agents, of proxies, and the one that the kernel shows for "not mapped".',
  promise: 'The resolver runs under a UID of its own, and no supervisor under 65534.',
  checkId: 'self-uid',
  check: ({ self }, config) => {
    const [real = -1, ...rest] = self.status.uids;
    const remedy = `securityContext.runAsUser: ${DEFAULT_UID}`;
    if (rest.some((other) => other !== real)) {
      return fail(
        `real, effective, saved and file-system UID differ: ${self.status.uids.join(', ')}`,
        remedy,
      );
    }
    if (real === 0) return fail('runs as UID 0', remedy);
    if (real === UNMAPPED_UID)
      return fail(`runs as UID ${real}, which stands for everybody unmapped`, remedy);
    if (real === config.agent.uid) return fail(`runs as UID ${real}, the agent's own`, remedy);
    const caller = config.callers.find((each) => each.uid === real);
    if (caller !== undefined) return fail(`runs as UID ${real}, that of caller ${caller.name}`, remedy);
    return pass(`UID ${real}`);
  },
  rule: {
    remedy: `Run the resolver as a UID of its own, such as ${DEFAULT_UID}, and no supervisor as ${UNMAPPED_UID}.`,
    *find({ resolver, pod, roles }) {
      const whose = resolver.uid === undefined ? 'not set' : RESERVED_UIDS.get(resolver.uid);
      if (whose !== undefined) {
        yield {
          path: securityPath(resolver, 'runAsUser'),
          message: `the resolver's UID ${resolver.uid === undefined ? 'is' : `${resolver.uid} is`} ${whose}`,
        };
      }
      for (const container of pod.containers) {
        if (container.uid !== UNMAPPED_UID || !roles.supervisors.includes(container.name)) continue;
        yield {
          path: securityPath(container, 'runAsUser'),
          message: `the supervisor ${container.name} runs as UID ${UNMAPPED_UID}, which is always refused`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      !(variables.resolverUid in ${celList([-1, ...RESERVED_UIDS.keys()])})
      && variables.containers.all(c, !(c.name in variables.supervisors)
        || c.?securityContext.?runAsUser.orValue(variables.podUid) != ${UNMAPPED_UID})`,
    message: `the resolver has no UID of its own, or a supervisor has ${UNMAPPED_UID}`,
  },
};
