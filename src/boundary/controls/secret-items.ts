import { asList } from '../../manifest/data.ts';
import type { Control } from '../control.ts';
import { resolverSources } from './shared/pod.ts';

export const secretItems: Control = {
  id: 'secret-items',
  group: 'mounts',
  severity: 'warn',
  threat:
    'Where a listed key goes away the kubelet fails the update and keeps the old files: the key is never revoked.',
  promise: 'A key that is removed from a Secret is removed from the mount.',
  rule: {
    remedy: 'Take out items and mount the Secret as a whole; the provider file chooses the keys.',
    *find(subject) {
      for (const secret of resolverSources(subject)) {
        if (asList(secret.source.items).length === 0 || secret.source.optional === true) continue;
        yield { path: [...secret.path, 'items'], message: `the Secret ${secret.name} is mounted by items` };
      }
    },
  },
  expression: {
    cel: 'variables.resolverVolumes.all(v, !has(v.secret) || v.secret.?items.orValue([]).size() == 0)',
    message: 'the resolver mounts a Secret by items, so a key that goes away is never revoked',
  },
};
