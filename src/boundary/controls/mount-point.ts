import type { Control } from '../control.ts';
import { eachVolume, MOUNT_IT } from './shared/volumes.ts';

export const mountPoint: Control = {
  id: 'mount-point',
  group: 'mounts',
  severity: 'enforce',
  threat: 'A plain folder is not fed by kubelet, and other containers may write it.',
  promise: 'Each Secret is a mount of its own.',
  check: (facts) =>
    eachVolume(facts, 'each a mount point of its own', MOUNT_IT, ({ mount }) =>
      mount === undefined ? 'is not a mount point' : undefined,
    ),
};
