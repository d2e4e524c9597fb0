import type { Control } from '../control.ts';
import { eachVolume } from './shared/volumes.ts';

export const mountLayout: Control = {
  id: 'mount-layout',
  group: 'mounts',
  severity: 'enforce',
  threat:
    "A folder without kubelet's layout is not swapped as a whole, so a mixture of two rotations can be read.",
  promise: 'Each volume has the layout of kubelet, with one generation in force.',
  check: (facts) =>
    eachVolume(
      facts,
      '..data leads to one generation',
      'volumes: [{name: <secret>, secret: {secretName: <name>}}]: only kubelet writes it, atomically',
      ({ layoutFault, generation }) =>
        layoutFault ??
        (generation?.kind === 'directory' ? undefined : 'has a ..data link that leads nowhere'),
    ),
};
