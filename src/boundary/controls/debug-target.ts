import { RESOLVER, SELF_TESTS } from '../../manifest/names.ts';
import { type Control, cel, celList } from '../control.ts';

export const debugTarget: Control = {
  id: 'debug-target',
  group: 'processes',
  severity: 'enforce',
  threat:
    'With --target, kubectl debug puts a container of any image into the PID namespace of the resolver.',
  promise: 'No debug container targets the resolver.',
  rule: {
    remedy: 'Debug another container, or a copy of the pod without the Secrets (kubectl debug --copy-to).',
    *find({ pod }) {
      for (const { ephemeral, data, path, name } of pod.containers) {
        if (!ephemeral || ![RESOLVER, ...SELF_TESTS].includes(data.targetContainerName)) continue;
        yield {
          path: [...path, 'targetContainerName'],
          message: `the debug container ${name} targets ${data.targetContainerName}`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      object.spec.?ephemeralContainers.orValue([]).all(c,
        !(c.?targetContainerName.orValue("") in ${celList([RESOLVER, ...SELF_TESTS])}))`,
    message: 'a debug container targets the resolver',
  },
};
