import { isReadOnlyMount } from '../../domain/mountinfo.ts';
import type { Control } from '../control.ts';
import { eachVolume } from './shared/volumes.ts';

export const mountReadOnly: Control = {
  id: 'mount-read-only',
  group: 'mounts',
  severity: 'enforce',
  threat: 'A writable volume serves what its writer put there.',
  promise: 'Secrets are mounted read-only.',
  check: (facts) =>
    eachVolume(
      facts,
      'read-only',
      'volumeMounts[].readOnly: true',
      ({ mount }) => (mount === undefined || isReadOnlyMount(mount) ? undefined : 'is mounted writable'),
      'mount',
    ),
};
