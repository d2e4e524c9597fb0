import { asMap } from '../../manifest/data.ts';
import type { Control } from '../control.ts';
import { relevant } from './shared/external-secret.ts';

export const externalSecretDeletion: Control = {
  id: 'external-secret-deletion',
  group: 'rotation',
  severity: 'enforce',
  threat:
    'With Retain a key that is gone upstream fails the sync, and the whole Secret stays as it was: nothing is revoked.',
  promise: 'A key that is deleted upstream is deleted from the Secret.',
  rule: {
    about: 'object',
    remedy: 'Write target.deletionPolicy: Merge, which takes the key out of the Secret and of the mount.',
    *find(subject) {
      const found = relevant(subject);
      if (found === undefined) return;
      const policy = asMap(found.spec.target).deletionPolicy ?? 'Retain';
      const path = [...found.at, 'target', 'deletionPolicy'];
      if (policy === 'Retain') yield { path, message: `${found.text} retains what is deleted upstream` };
      else if (policy !== 'Merge' && policy !== 'Delete')
        yield { path, message: `${found.text} has a deletionPolicy that does not exist` };
      if (policy !== 'Delete') return;
      yield {
        path,
        severity: 'warning',
        message: `${found.text} deletes the whole Secret with its last key, and a mount keeps the files of a Secret that is gone`,
      };
    },
  },
};
