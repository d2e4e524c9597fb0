import { REFUSED } from '../attacks/types.ts';
import { type Control, cel, fail, listed, pass } from '../control.ts';
import { processAttack } from './shared/attacks.ts';
import { others, securityPath } from './shared/pod.ts';
import { foreign, named } from './shared/processes.ts';

export const resolverUidShared: Control = {
  id: 'resolver-uid-shared',
  group: 'processes',
  severity: 'enforce',
  threat: "A process of the resolver's UID may read its memory, signal it and replace its socket.",
  promise: 'No other container has the UID of the resolver.',
  checkId: 'process-same-uid',
  check: (facts) => {
    const own = facts.self.status.uids[0] ?? -1;
    const intruders = foreign(facts).filter((process) => process.uids.includes(own));
    if (intruders.length === 0) return pass(`no process outside our container has UID ${own}`);
    return fail(
      listed(
        intruders.map((process) =>
          process.container === 'unreadable'
            ? `${named(process)}: its mounts cannot be read, so it counts as outside`
            : `${named(process)} is in another container`,
        ),
      ),
      `securityContext.runAsUser: on each container, and ${own} on ours alone (not on the pod)`,
    );
  },
  rule: {
    remedy: 'Give every container a UID of its own that is not the resolver’s.',
    *find(subject) {
      for (const container of others(subject)) {
        if (container.uid === undefined || container.uid !== subject.resolver.uid) continue;
        yield {
          path: securityPath(container, 'runAsUser'),
          message: `container ${container.name} runs as UID ${container.uid}, which is the resolver's`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      variables.others.all(c,
        c.?securityContext.?runAsUser.orValue(variables.podUid) != variables.resolverUid
        || variables.resolverUid < 0)`,
    message: "a container has the resolver's UID",
  },
  attacks: [processAttack('signals', 'send a signal', REFUSED)],
};
