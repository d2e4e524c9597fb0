import { type Control, listed } from '../control.ts';
import { eachVolume } from './shared/volumes.ts';

export const mountNotWritable: Control = {
  id: 'mount-not-writable',
  group: 'mounts',
  severity: 'enforce',
  threat: 'A compromised resolver that may write its Secrets can serve false values.',
  promise: 'The resolver can write none of its Secrets.',
  check: (facts) =>
    eachVolume(
      facts,
      'access(2) lets us write nothing',
      'volumeMounts[].readOnly: true, and no runAsUser equal to the owner of the files',
      ({ writable }) => (writable.length > 0 ? `is writable by us: ${listed(writable)}` : undefined),
    ),
};
