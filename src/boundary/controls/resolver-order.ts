import type { Container } from '../../manifest/pod.ts';
import { type Control, cel } from '../control.ts';
import { kitAndEnvoy } from './shared/egress.ts';

export const resolverOrder: Control = {
  id: 'resolver-order',
  group: 'self',
  severity: 'enforce',
  threat:
    'Init containers after the resolver run beside it, often as root; before it they have ended. The agent waits only for a native sidecar.',
  promise:
    'The resolver is a native sidecar, after every other init container but an Envoy that inject added, and the self-test.',
  rule: {
    remedy:
      'Make secret-resolver an init container with restartPolicy: Always, after every other one and before the self-test: inject does, and puts egress and envoy between them. With a mesh, use its native sidecars or its CNI plugin.',
    *find(subject) {
      const { resolver, pod } = subject;
      if (resolver.phase !== 'sidecar') {
        yield { path: resolver.path, message: 'the resolver is not a native sidecar' };
        return;
      }
      const egress = kitAndEnvoy(subject);
      const place = (container: Container | undefined) =>
        container === undefined ? Number.POSITIVE_INFINITY : pod.containers.indexOf(container);
      for (const container of pod.containers.slice(place(resolver) + 1)) {
        if (container.phase === 'main' || container === pod.selfTest || egress.includes(container)) continue;
        yield { path: container.path, message: `init container ${container.name} comes after the resolver` };
      }
      for (const container of egress) {
        const between = place(container) > place(resolver) && place(container) < place(pod.selfTest);
        if (container.phase === 'sidecar' && between) continue;
        yield {
          path: container.path,
          message: `container ${container.name} is not a native sidecar between the resolver and the self-test`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      variables.resolver.all(r, r.?restartPolicy.orValue("") == "Always")
      && variables.initNames.indexOf("secret-resolver") >= 0
      && variables.initNames.filter(n, variables.initNames.indexOf(n) > variables.initNames.indexOf("secret-resolver"))
        == variables.inits.filter(c, c.?restartPolicy.orValue("") == "Always"
          && c.name in (variables.kit + variables.envoy).map(k, k.name)).map(c, c.name)
          + variables.selfTest.map(p, p.name)
      && (variables.kit + variables.envoy).all(c, c.name in variables.initNames)`,
    message:
      'the resolver must be a native sidecar after every other init container but egress, envoy and the self-test, in this order',
  },
};
