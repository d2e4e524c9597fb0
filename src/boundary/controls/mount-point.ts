import type { Control } from '../control.ts';
import { eachVolume } from './shared/volumes.ts';

export const mountPoint: Control = {
  id: 'mount-point',
  group: 'mounts',
  severity: 'enforce',
  threat: 'A plain folder is not fed by kubelet, and other containers may write it.',
  promise: 'Each Secret is a mount of its own.',
  check: {
    run: (facts) =>
      eachVolume(
        facts,
        'each a mount point of its own',
        'volumeMounts: [{name: <secret>, mountPath: <the path>, readOnly: true}], one for each Secret',
        ({ folder, mount }) =>
          folder === undefined ? 'is not there' : mount === undefined ? 'is no mount point' : undefined,
      ),
  },
};
