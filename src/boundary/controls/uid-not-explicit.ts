import type { Control } from '../control.ts';
import { others } from './shared/pod.ts';

export const uidNotExplicit: Control = {
  id: 'uid-not-explicit',
  group: 'processes',
  severity: 'enforce',
  threat:
    "Where the manifest gives no UID the image does, and the next build of it may choose the resolver's.",
  promise: 'The manifest gives every container its UID.',
  rule: {
    remedy: 'Write securityContext.runAsUser for the container, or for the pod.',
    *find(subject) {
      for (const { uid, path, name } of others(subject)) {
        if (uid === undefined) yield { path, message: `container ${name} has no explicit runAsUser` };
      }
    },
  },
  expression: {
    cel: 'variables.podUid >= 0 || variables.others.all(c, c.?securityContext.?runAsUser.hasValue())',
    message: 'a container has no explicit runAsUser',
  },
};
