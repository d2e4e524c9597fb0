import type { Control } from '../control.ts';
import { cel } from '../expression.ts';

export const resolverOrder: Control = {
  id: 'resolver-order',
  group: 'self',
  severity: 'enforce',
  threat:
    'Init containers after the resolver run beside it, often as root; before it they have ended. The agent waits only for a native sidecar.',
  promise: 'The resolver is a native sidecar, after every other init container but the self-test.',
  rule: {
    about: 'pod',
    remedy:
      'Make secret-resolver an init container with restartPolicy: Always, after every other one and before the self-test alone: inject does. With a mesh, use its native sidecars or its CNI plugin.',
    *find({ resolver, pod }) {
      if (resolver.phase !== 'sidecar') {
        yield { path: resolver.path, message: 'the resolver is not a native sidecar' };
        return;
      }
      for (const container of pod.containers.slice(pod.containers.indexOf(resolver) + 1)) {
        if (container.phase === 'main' || container === pod.selfTest) continue;
        yield { path: container.path, message: `init container ${container.name} comes after the resolver` };
      }
    },
  },
  expression: {
    cel: cel`
      variables.resolver.all(r, r.?restartPolicy.orValue("") == "Always")
      && variables.initNames.indexOf("secret-resolver") >= 0
      && variables.initNames.indexOf("secret-resolver") == variables.initNames.size() - 1 - variables.selfTest.size()
      && (variables.selfTest.size() == 0
        || variables.initNames.indexOf(variables.selfTest[0].name) == variables.initNames.size() - 1)`,
    message: 'the resolver must be a native sidecar after every other init container but the self-test',
  },
};
