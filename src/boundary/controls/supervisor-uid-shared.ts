import { type Control, cel } from '../control.ts';
import { kitAndEnvoy } from './shared/egress.ts';
import { beside, securityPath } from './shared/pod.ts';

export const supervisorUidShared: Control = {
  id: 'supervisor-uid-shared',
  group: 'processes',
  severity: 'enforce',
  threat:
    "The socket tells callers apart by UID: a process with the supervisor's UID gets what the supervisor gets.",
  promise: 'No container but a supervisor has the UID of a supervisor or of its Envoy.',
  rule: {
    remedy: 'Give the supervisor a UID that no other container has while it runs.',
    *find(subject) {
      const supervisors = [
        ...subject.pod.containers.filter(({ name }) => subject.roles.supervisors.includes(name)),
        ...kitAndEnvoy(subject).slice(1),
      ];
      for (const container of beside(subject)) {
        if (supervisors.includes(container)) continue;
        const twin = supervisors.find(({ uid }) => uid !== undefined && uid === container.uid);
        if (twin === undefined) continue;
        yield {
          path: securityPath(container, 'runAsUser'),
          message: `container ${container.name} runs as UID ${container.uid}, which is also that of the supervisor ${twin.name}`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      variables.containers.filter(s, s.name in variables.trusted).all(s,
        variables.beside.all(c, c.name in variables.trusted
          || c.?securityContext.?runAsUser.orValue(variables.podUid)
            != s.?securityContext.?runAsUser.orValue(variables.podUid)))`,
    message: "a container has the supervisor's UID, by which the socket knows the supervisor",
  },
};
