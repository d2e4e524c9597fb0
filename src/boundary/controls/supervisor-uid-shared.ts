import type { Control } from '../control.ts';
import { cel } from '../expression.ts';
import { beside, securityPath } from './shared/pod.ts';

export const supervisorUidShared: Control = {
  id: 'supervisor-uid-shared',
  group: 'processes',
  severity: 'enforce',
  threat:
    "The socket tells callers apart by UID: a process with the supervisor's UID gets what the supervisor gets.",
  promise: 'No container but a supervisor has the UID of a supervisor.',
  rule: {
    about: 'pod',
    remedy: 'Give the supervisor a UID that no other container has while it runs.',
    *find(subject) {
      const supervisors = subject.pod.containers.filter(({ name }) =>
        subject.roles.supervisors.includes(name),
      );
      for (const container of beside(subject)) {
        if (supervisors.includes(container)) continue;
        const twin = supervisors.find(({ uid }) => uid !== undefined && uid === container.uid);
        if (twin === undefined) continue;
        yield {
          path: securityPath(container, 'runAsUser'),
          message: `container ${container.name} runs as UID ${container.uid}, which is the supervisor ${twin.name}'s`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      variables.containers.filter(s, s.name in variables.supervisors).all(s,
        variables.beside.all(c, c.name in variables.supervisors
          || c.?securityContext.?runAsUser.orValue(variables.podUid)
            != s.?securityContext.?runAsUser.orValue(variables.podUid)))`,
    message: "a container has the supervisor's UID, by which the socket knows the supervisor",
  },
};
