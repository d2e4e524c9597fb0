import { type Control, cel } from '../control.ts';
import { beside } from './shared/pod.ts';

export const sharedProcessesRoot: Control = {
  id: 'shared-processes-root',
  group: 'processes',
  severity: 'enforce',
  threat:
    "In a shared PID namespace a root process with its capabilities can take the resolver's UID and read its memory.",
  promise: 'No root container shares a PID namespace with the resolver and has its default capabilities.',
  rule: {
    remedy:
      'Write capabilities: {drop: [ALL]} for the container, run it as another user, or take out shareProcessNamespace.',
    *find(subject) {
      if (subject.pod.spec.shareProcessNamespace !== true) return;
      for (const container of beside(subject)) {
        if (container.uid !== 0 || container.dropsAll) continue;
        yield {
          path: container.path,
          message: `container ${container.name} is root with its capabilities while the resolver runs, in one PID namespace with it`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      !object.spec.?shareProcessNamespace.orValue(false)
      || variables.beside.all(c,
        c.?securityContext.?runAsUser.orValue(variables.podUid) != 0
        || c.?securityContext.?capabilities.?drop.orValue([]).exists(k, k.matches("^(?i)(CAP_)?ALL$")))`,
    message: 'root with its capabilities shares a PID namespace with the resolver',
  },
};
