import type { Control } from '../control.ts';
import { eachVolume } from './shared/volumes.ts';

/** Kubelet's name for a generation: `..2026_11_23_17_12_00.123456789`. */
const GENERATION = /^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+$/;

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
      ({ dataLink, generation }) => {
        if (dataLink === undefined) return 'has no ..data link';
        if (!GENERATION.test(dataLink)) return 'has a ..data link that no kubelet made';
        return generation?.kind === 'directory' ? undefined : 'has a ..data link that leads nowhere';
      },
    ),
};
