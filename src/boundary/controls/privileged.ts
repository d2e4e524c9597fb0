import type { Control } from '../control.ts';
import { securityPath } from './shared/pod.ts';

export const privileged: Control = {
  id: 'privileged',
  group: 'processes',
  severity: 'enforce',
  threat:
    "A privileged container has every capability and every device: it reads the node's memory and all mounts.",
  promise: 'No container of the pod is privileged.',
  rule: {
    remedy: 'Take out securityContext.privileged.',
    *find({ pod }) {
      for (const container of pod.containers.filter((each) => each.privileged)) {
        yield {
          path: securityPath(container, 'privileged'),
          message: `container ${container.name} is privileged`,
        };
      }
    },
  },
  expression: {
    cel: 'variables.containers.all(c, !c.?securityContext.?privileged.orValue(false))',
    message: 'a container is privileged',
  },
};
