import { pathName } from '../../manifest/data.ts';
import { listensOn } from '../../manifest/pod.ts';
import { type Control, cel } from '../control.ts';
import { beside } from './shared/pod.ts';

export const portCollision: Control = {
  id: 'port-collision',
  group: 'socket',
  severity: 'enforce',
  threat:
    'The containers of a pod share their ports: of two that want the same one, the second does not start.',
  promise: 'No other container wants a port of the resolver.',
  rule: {
    remedy:
      'Change the port of the container, or health.listen and metrics.listen in the configuration, and inject again.',
    *find(subject) {
      const own = listensOn(subject.resolver);
      for (const container of beside(subject)) {
        for (const { port, protocol, path } of listensOn(container)) {
          const taken = own.find((each) => each.port === port && each.protocol === protocol);
          if (taken === undefined) continue;
          yield {
            path,
            message: `container ${container.name} has port ${port}/${protocol}, which is the resolver's (${pathName(taken.path)})`,
          };
        }
      }
    },
  },
  expression: {
    cel: cel`
      variables.resolver.all(r, r.?ports.orValue([]).all(q, variables.beside.all(c,
        c.?ports.orValue([]).all(p, p.containerPort != q.containerPort
          || p.?protocol.orValue("TCP") != q.?protocol.orValue("TCP"))
        && [c.?livenessProbe, c.?readinessProbe, c.?startupProbe].all(p,
          (p.?httpGet.?host.orValue("") != "" || p.?httpGet.?port.orValue(0) != q.containerPort)
          && (p.?tcpSocket.?host.orValue("") != "" || p.?tcpSocket.?port.orValue(0) != q.containerPort)
          && p.?grpc.?port.orValue(0) != q.containerPort))))`,
    message: 'a container has a port of the resolver',
  },
};
