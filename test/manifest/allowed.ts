/** Changes to a pod that inject made which neither lint nor the policy has anything against. */
import { HOST_PATHS } from '../../src/domain/kubernetes.ts';
import type { PodFault } from './faults.ts';

type Change = Pick<PodFault, 'name' | 'plant'>;

const hostPath = (path: string): Change => ({
  name: `hostPath ${path}`,
  plant: (pod) => {
    pod.add(pod.spec, 'volumes', { name: 'h', hostPath: { path } });
    pod.add(pod.supervisor, 'volumeMounts', { name: 'h', mountPath: '/h', readOnly: true });
  },
});

export const ALLOWED: readonly Change[] = [
  ...HOST_PATHS.flatMap((path) =>
    [path, `${path}/`, path.replaceAll('/', '//'), path.replaceAll('/', '/./'), `${path}/sub/..x`].map(
      hostPath,
    ),
  ),
  {
    name: 'NET_ADMIN in an init container that has ended, as of a mesh',
    plant: (pod) => {
      const capabilities = { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] };
      const mesh = { name: 'istio-init', image: 'x', securityContext: { runAsUser: 0, capabilities } };
      pod.spec.initContainers = [mesh, ...pod.list('initContainers')] as never;
    },
  },
  {
    name: 'NET_BIND_SERVICE',
    plant: (pod) => {
      for (const container of [pod.agent, pod.selfTest])
        pod.security(container).capabilities = { add: ['NET_BIND_SERVICE'] } as never;
    },
  },
  {
    name: 'another protocol on the same port',
    plant: (pod) => pod.add(pod.agent, 'ports', { containerPort: 8086, protocol: 'UDP' }),
  },
  {
    name: 'a port of the node with that number',
    plant: (pod) => pod.add(pod.agent, 'ports', { containerPort: 8080, hostPort: 8086 }),
  },
  {
    name: 'probes that ask a named port, and another host',
    plant: (pod) => {
      pod.agent.livenessProbe = { httpGet: { port: 'http' } } as never;
      pod.agent.readinessProbe = { tcpSocket: { port: 8086, host: '192.0.2.1' } } as never;
    },
  },
  {
    name: 'the former name of the self-test',
    plant: (pod) => {
      pod.selfTest.name = 'secret-resolver-probe' as never;
    },
  },
  {
    name: 'an image as a volume',
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', { name: 'i', image: { reference: 'registry.example/models:1' } });
      pod.add(pod.supervisor, 'volumeMounts', { name: 'i', mountPath: '/i', readOnly: true });
    },
  },
  {
    name: "variables of the cloud's workload identity",
    plant: (pod) => {
      for (const container of [pod.agent, pod.selfTest])
        pod.add(container, 'env', { name: 'AWS_REGION', value: 'eu-central-1' });
    },
  },
  {
    name: 'a debug container beside the agent',
    plant: (pod) =>
      pod.add(pod.spec, 'ephemeralContainers', {
        name: 'd',
        image: 'x',
        targetContainerName: 'agent',
        securityContext: { runAsUser: 1000 },
      }),
  },
  {
    name: 'a token of the supervisor',
    plant: (pod) => {
      const sources = [{ serviceAccountToken: { path: 'token' } }];
      pod.add(pod.spec, 'volumes', { name: 't', projected: { sources } });
      pod.add(pod.supervisor, 'volumeMounts', { name: 't', mountPath: '/t', readOnly: true });
    },
  },
];
