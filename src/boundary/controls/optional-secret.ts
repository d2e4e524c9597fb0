import { type Control, cel } from '../control.ts';
import { resolverSources } from './shared/pod.ts';

export const optionalSecret: Control = {
  id: 'optional-secret',
  group: 'mounts',
  severity: 'warn',
  threat:
    'The pod starts without an optional Secret, so a mistyped name looks like a credential that nobody has.',
  promise: 'A Secret that does not exist holds the pod back.',
  rule: {
    remedy: 'Write optional: false, or take the field out.',
    *find(subject) {
      for (const secret of resolverSources(subject)) {
        if (secret.source.optional !== true) continue;
        yield { path: [...secret.path, 'optional'], message: `the Secret ${secret.name} is optional` };
      }
    },
  },
  expression: {
    cel: cel`
      variables.resolverVolumes.all(v,
        (!has(v.secret) || !v.secret.?optional.orValue(false))
        && (!has(v.projected) || v.projected.?sources.orValue([]).all(s,
          !has(s.secret) || !s.secret.?optional.orValue(false))))`,
    message: 'the resolver mounts an optional Secret',
  },
};
