import type { Control } from '../control.ts';
import { eachVolume } from './shared/volumes.ts';

export const mountTmpfs: Control = {
  id: 'mount-tmpfs',
  group: 'mounts',
  severity: 'enforce',
  threat: 'A value on a disk outlives the pod, and other pods of the node may reach the disk.',
  promise: 'Secrets are kept in memory.',
  check: {
    run: (facts) =>
      eachVolume(
        facts,
        'tmpfs',
        'volumes: [{name: <secret>, secret: {secretName: <name>}}], not hostPath, PVC or a disk emptyDir',
        ({ mount }) =>
          mount !== undefined && mount.type !== 'tmpfs' ? `is ${mount.type}, not tmpfs` : undefined,
      ),
  },
};
