import { type Control, cel } from '../control.ts';
import { resolverSources } from './shared/pod.ts';

export const secretUnreadable: Control = {
  id: 'secret-unreadable',
  group: 'mounts',
  severity: 'enforce',
  threat: "Files are root's: without fsGroup only the bits for others reach the resolver's UID.",
  promise: 'The resolver can read what it mounts.',
  rule: {
    remedy: 'Write defaultMode 0444 without fsGroup, and 0440 with it.',
    *find(subject) {
      // With fsGroup kubelet adds 0440 whatever the mode says, and every container has the group.
      if (subject.pod.fsGroup !== undefined) return;
      for (const secret of resolverSources(subject)) {
        if (((secret.defaultMode ?? 0o644) & 0o004) !== 0) continue;
        yield {
          path: secret.path,
          message: `the resolver cannot read the Secret ${secret.name} with this defaultMode and no fsGroup`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      object.spec.?securityContext.?fsGroup.hasValue()
      || variables.resolverVolumes.all(v,
        (!has(v.secret) || (v.secret.?defaultMode.orValue(420) / 4) % 2 == 1))`,
    message: "without fsGroup the resolver's Secrets need defaultMode 0444",
  },
};
