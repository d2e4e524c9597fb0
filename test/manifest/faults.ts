/** Faults to plant in a pod that inject made, one or more for each rule. */
import { parseAllDocuments, stringify } from 'yaml';
import { DANGEROUS_CAPABILITIES } from '../../src/domain/kubernetes.ts';

export type Tree = Record<string, never> & { [key: string]: unknown };

/** Mutable view of a pod spec with the containers that every planted pod has. */
export class PlantedPod {
  readonly spec: Tree;
  readonly annotations: Tree;

  constructor(template: { spec: unknown; metadata: { annotations: unknown } }) {
    this.spec = template.spec as Tree;
    this.annotations = template.metadata.annotations as Tree;
  }

  list(name: 'containers' | 'initContainers' | 'volumes'): Tree[] {
    return this.spec[name] as unknown as Tree[];
  }

  named(list: 'containers' | 'initContainers' | 'volumes', name: string): Tree {
    const found = this.list(list).find((item) => item.name === (name as never));
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  get agent(): Tree {
    return this.named('containers', 'agent');
  }
  get supervisor(): Tree {
    return this.named('containers', 'supervisor');
  }
  get resolver(): Tree {
    return this.named('initContainers', 'secret-resolver');
  }
  get selfTest(): Tree {
    return this.named('initContainers', 'secret-resolver-self-test');
  }
  get secret(): Tree {
    return this.named('volumes', 'secret-resolver-secret-gitlab').secret as unknown as Tree;
  }

  add(holder: Tree, field: string, ...items: unknown[]): void {
    holder[field] = [...((holder[field] as unknown as unknown[] | undefined) ?? []), ...items] as never;
  }

  security(container: Tree): Tree {
    container.securityContext = { ...(container.securityContext as unknown as object) } as never;
    return container.securityContext as unknown as Tree;
  }
}

export interface PodFault {
  readonly rule: string;
  readonly name: string;
  readonly plant: (pod: PlantedPod) => void;
  /** The end of the path at which it must be found. */
  readonly at: RegExp;
  /** Why the policy does not refuse it. */
  readonly lintOnly?: string;
}

const set = (tree: Tree, field: string, value: unknown) => {
  tree[field] = value as never;
};

/** The volume of the socket under another name; `change` is called for each mount of other containers. */
function renameSocket(pod: PlantedPod, change: (entry: Tree) => void): void {
  set(pod.named('volumes', 'secret-resolver-socket'), 'name', 'renamed');
  for (const container of [...pod.list('initContainers'), ...pod.list('containers')]) {
    for (const entry of (container.volumeMounts ?? []) as unknown as Tree[]) {
      if (entry.name !== ('secret-resolver-socket' as never)) continue;
      set(entry, 'name', 'renamed');
      if (container !== pod.resolver) change(entry);
    }
  }
}

const mount = (name: string, more: object = {}) => ({ name, mountPath: `/planted-${name}`, ...more });

export const POD_FAULTS: readonly PodFault[] = [
  {
    rule: 'combined-topology',
    name: 'one container that is agent and supervisor',
    plant: (pod) => {
      pod.annotations['secret-resolver/supervisors'] = 'agent' as never;
    },
    at: /containers\[\d\]$/,
  },
  {
    rule: 'secret-mounted-elsewhere',
    name: "the agent mounts the resolver's volume",
    plant: (pod) => pod.add(pod.agent, 'volumeMounts', mount('secret-resolver-secret-gitlab')),
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'secret-mounted-elsewhere',
    name: 'the supervisor mounts the Secret by a volume of its own',
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', { name: 'planted', secret: { secretName: 'gitlab' } });
      pod.add(pod.supervisor, 'volumeMounts', mount('planted'));
    },
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'secret-mounted-elsewhere',
    name: 'the agent mounts the Secret by a projected volume',
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', {
        name: 'planted-p',
        projected: { sources: [{ secret: { name: 'gitlab' } }] },
      });
      pod.add(pod.agent, 'volumeMounts', mount('planted-p'));
    },
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'secret-in-environment',
    name: 'the agent takes it by env',
    plant: (pod) =>
      pod.add(pod.agent, 'env', { name: 'T', valueFrom: { secretKeyRef: { name: 'gitlab', key: 'token' } } }),
    at: /containers\[\d\]\.env\[\d\]\.valueFrom\.secretKeyRef$/,
  },
  {
    rule: 'secret-in-environment',
    name: 'the agent takes it by envFrom',
    plant: (pod) => pod.add(pod.agent, 'envFrom', { secretRef: { name: 'gitlab' } }),
    at: /containers\[\d\]\.envFrom\[\d\]\.secretRef$/,
  },
  {
    rule: 'secret-in-environment',
    name: 'the resolver itself takes it by envFrom',
    plant: (pod) => pod.add(pod.resolver, 'envFrom', { secretRef: { name: 'gitlab' } }),
    at: /initContainers\[\d\]\.envFrom\[\d\]\.secretRef$/,
  },
  {
    rule: 'sub-path',
    name: 'subPath',
    plant: (pod) => {
      for (const entry of pod.resolver.volumeMounts as unknown as Tree[]) {
        if (String(entry.name).includes('-secret-gitlab')) set(entry, 'subPath', 'token');
      }
    },
    at: /initContainers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'mount-namespace',
    name: 'a Secret below the name of another namespace',
    plant: (pod) => {
      for (const entry of pod.resolver.volumeMounts as unknown as Tree[]) {
        if (String(entry.name).includes('-secret-gitlab'))
          set(entry, 'mountPath', '/var/lib/secret-resolver/secrets/tenant-b/gitlab');
      }
      const words = (pod.selfTest.args as unknown as string[]).map((word) =>
        word.replace('tenant-a/gitlab', 'tenant-b/gitlab'),
      );
      set(pod.selfTest, 'args', words);
    },
    at: /initContainers\[\d\]\.volumeMounts\[\d\]\.mountPath$/,
    lintOnly: 'the configuration may name another namespace, which the policy does not read',
  },
  {
    rule: 'optional-secret',
    name: 'an optional Secret',
    plant: (pod) => set(pod.secret, 'optional', true),
    at: /volumes\[\d\]\.secret\.optional$/,
  },
  {
    rule: 'secret-items',
    name: 'a Secret by items',
    plant: (pod) => {
      set(pod.secret, 'optional', false);
      set(pod.secret, 'items', [{ key: 'token', path: 'token' }]);
    },
    at: /volumes\[\d\]\.secret\.items$/,
  },
  {
    rule: 'secret-unreadable',
    name: 'a mode that leaves others out, without fsGroup',
    plant: (pod) => {
      set(pod.spec, 'securityContext', {
        ...(pod.spec.securityContext as unknown as object),
        fsGroup: undefined,
      });
      set(pod.secret, 'defaultMode', 0o440);
    },
    at: /volumes\[\d\]\.secret$/,
  },
  {
    rule: 'socket-writable',
    name: 'the supervisor mounts the socket writable',
    plant: (pod) => {
      for (const entry of pod.supervisor.volumeMounts as unknown as Tree[]) {
        if (String(entry.name) === 'secret-resolver-socket') set(entry, 'readOnly', false);
      }
    },
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'socket-mounted-elsewhere',
    name: 'the agent mounts the socket',
    plant: (pod) => pod.add(pod.agent, 'volumeMounts', mount('secret-resolver-socket', { readOnly: true })),
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'reserved-folder',
    name: "a mount in OpenShell's folder",
    plant: (pod) =>
      pod.add(pod.resolver, 'volumeMounts', {
        name: 'secret-resolver-config',
        mountPath: '/run/openshell/x',
      }),
    at: /initContainers\[\d\]\.volumeMounts\[\d\]\.mountPath$/,
  },
  {
    rule: 'reserved-folder',
    name: 'the socket at /run itself',
    plant: (pod) =>
      pod.add(pod.supervisor, 'volumeMounts', {
        name: 'secret-resolver-socket',
        mountPath: '/run/',
        readOnly: true,
      }),
    at: /containers\[\d\]\.volumeMounts\[\d\]\.mountPath$/,
  },
  ...[
    '/run//./../run',
    '/run/openshell/../secret-resolver',
    '/run/./secret-resolver',
    'run/secret-resolver',
  ].map(
    (mountPath): PodFault => ({
      rule: 'reserved-folder',
      name: `the socket at ${mountPath}`,
      plant: (pod) => {
        for (const entry of pod.supervisor.volumeMounts as unknown as Tree[])
          if (entry.name === ('secret-resolver-socket' as never)) set(entry, 'mountPath', mountPath);
      },
      at: /containers\[\d\]\.volumeMounts\[\d\]\.mountPath$/,
    }),
  ),
  {
    rule: 'self-test-missing',
    name: 'a self-test that keeps running, and holds nothing back',
    plant: (pod) => set(pod.selfTest, 'restartPolicy', 'Always'),
    at: /initContainers\[\d\]$/,
  },
  {
    rule: 'self-test-missing',
    name: 'a self-test that runs beside the agent',
    plant: (pod) => {
      pod.add(pod.spec, 'containers', pod.selfTest);
      pod.spec.initContainers = pod.list('initContainers').filter((one) => one !== pod.selfTest) as never;
    },
    at: /initContainers\[\d\]$/,
  },
  {
    rule: 'self-test-missing',
    name: 'no self-test',
    plant: (pod) =>
      set(
        pod.spec,
        'initContainers',
        pod.list('initContainers').filter(({ name }) => name !== ('secret-resolver-self-test' as never)),
      ),
    at: /initContainers\[\d\]$/,
  },
  {
    rule: 'self-test-differs',
    name: 'another user for the agent than for the self-test',
    plant: (pod) => set(pod.security(pod.agent), 'runAsGroup', 4242),
    at: /initContainers\[\d\]\.securityContext$/,
  },
  {
    rule: 'self-test-differs',
    name: 'another mount for the agent than for the self-test',
    plant: (pod) => pod.add(pod.agent, 'volumeMounts', mount('elsewhere')),
    at: /initContainers\[\d\]\.volumeMounts$|initContainers\[\d\]$/,
  },
  {
    rule: 'uid-not-explicit',
    name: 'a container without a UID',
    plant: (pod) => pod.add(pod.spec, 'containers', { name: 'planted-u', image: 'x' }),
    at: /containers\[\d\]$/,
  },
  {
    rule: 'resolver-uid-shared',
    name: "a container with the resolver's UID",
    plant: (pod) =>
      pod.add(pod.spec, 'containers', {
        name: 'planted-r',
        image: 'x',
        securityContext: { runAsUser: 10771 },
      }),
    at: /containers\[\d\]\.securityContext\.runAsUser$/,
  },
  {
    rule: 'supervisor-uid-shared',
    name: "a container with the supervisor's UID",
    plant: (pod) =>
      pod.add(pod.spec, 'containers', {
        name: 'planted-s',
        image: 'x',
        securityContext: { runAsUser: 1337 },
      }),
    at: /containers\[\d\]\.securityContext\.runAsUser$/,
  },
  {
    rule: 'reserved-uid',
    name: 'the resolver as root',
    plant: (pod) => set(pod.security(pod.resolver), 'runAsUser', 0),
    at: /initContainers\[\d\]\.securityContext\.runAsUser$/,
  },
  {
    rule: 'privileged',
    name: 'a privileged container, as YAML 1.1 writes it',
    plant: (pod) => set(pod.security(pod.agent), 'privileged', true),
    at: /containers\[\d\]\.securityContext\.privileged$/,
  },
  ...[...DANGEROUS_CAPABILITIES.keys()].map(
    (capability): PodFault => ({
      rule: 'capability',
      name: `a root neighbour in one PID namespace adds ${capability}`,
      plant: (pod) => {
        set(pod.spec, 'shareProcessNamespace', true);
        pod.add(pod.spec, 'containers', {
          name: 'planted-root',
          image: 'x',
          securityContext: {
            runAsUser: 0,
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'], add: [capability] },
          },
        });
      },
      at: /containers\[\d\]\.securityContext\.capabilities\.add$/,
    }),
  ),
  ...['CAP_SYS_ADMIN', 'setuid', 'ALL', 'NET_RAW', 'a_new_one'].map(
    (capability): PodFault => ({
      rule: 'capability',
      name: `the agent adds ${capability}`,
      plant: (pod) => set(pod.security(pod.agent), 'capabilities', { add: [capability] }),
      at: /containers\[\d\]\.securityContext\.capabilities\.add$/,
    }),
  ),
  {
    rule: 'host-pid',
    name: 'hostPID',
    plant: (pod) => set(pod.spec, 'hostPID', true),
    at: /spec\.hostPID$/,
  },
  {
    rule: 'shared-processes-root',
    name: 'root beside the resolver in one PID namespace',
    plant: (pod) => {
      set(pod.spec, 'shareProcessNamespace', true);
      pod.add(pod.spec, 'containers', { name: 'planted-0', image: 'x', securityContext: { runAsUser: 0 } });
    },
    at: /containers\[\d\]$/,
  },
  {
    rule: 'privilege-escalation',
    name: 'an agent that may gain privileges in one PID namespace with the resolver',
    plant: (pod) => {
      set(pod.spec, 'shareProcessNamespace', true);
      set(pod.security(pod.agent), 'allowPrivilegeEscalation', undefined);
    },
    // The self-test runs with what the agent runs with.
    at: /(initC|c)ontainers\[\d\]$/,
  },
  ...[
    '/',
    '/var/lib/',
    '/var/lib/kubelet/pods/x',
    '/var/run/containerd/containerd.sock',
    '/var/run/./containerd//containerd.sock/',
    '/var/lib/k0s/kubelet',
    '/run/k3s/containerd/containerd.sock',
    '/var/snap/microk8s/common/var/lib/kubelet',
    '/var/run/cri-dockerd.sock',
    '/run/podman/podman.sock',
    '/proc',
    '/x/../var',
    '/etc/ssl/certs/../../kubernetes',
    '/etc/ssl/certificates',
    '/etc',
    '/opt/data',
    'etc/localtime',
  ].map(
    (path): PodFault => ({
      rule: 'host-path',
      name: `hostPath ${path}`,
      plant: (pod) => pod.add(pod.spec, 'volumes', { name: 'planted-h', hostPath: { path } }),
      at: /volumes\[\d\]\.hostPath\.path$/,
    }),
  ),
  {
    rule: 'host-path',
    name: "the node's certificates, writable",
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', { name: 'planted-h', hostPath: { path: '/etc/ssl/certs' } });
      pod.add(pod.supervisor, 'volumeMounts', mount('planted-h'));
    },
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'socket-writable',
    name: 'a renamed volume of the socket, writable for the supervisor',
    plant: (pod) => renameSocket(pod, (entry) => set(entry, 'readOnly', false)),
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'socket-mounted-elsewhere',
    name: 'a renamed volume of the socket, mounted by the agent',
    plant: (pod) => {
      renameSocket(pod, () => {});
      pod.add(pod.agent, 'volumeMounts', mount('renamed', { readOnly: true }));
    },
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'resolver-volume-shared',
    name: "the agent mounts the resolver's configuration",
    plant: (pod) => pod.add(pod.agent, 'volumeMounts', mount('secret-resolver-config', { readOnly: true })),
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'resolver-volume-shared',
    name: 'the resolver and the supervisor share a claim',
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', { name: 'planted-c', persistentVolumeClaim: { claimName: 'c' } });
      pod.add(pod.resolver, 'volumeMounts', mount('planted-c'));
      pod.add(pod.supervisor, 'volumeMounts', mount('planted-c', { readOnly: true }));
    },
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'mount-tmpfs',
    name: 'the resolver mounts a claim',
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', { name: 'planted-c', persistentVolumeClaim: { claimName: 'c' } });
      pod.add(pod.resolver, 'volumeMounts', mount('planted-c'));
    },
    at: /volumes\[\d\]\.persistentVolumeClaim$/,
  },
  ...(
    [
      ['nfs', { server: 'x', path: '/' }],
      ['iscsi', { targetPortal: 'x', iqn: 'iqn.2026-11.example:x', lun: 0 }],
      ['flexVolume', { driver: 'example/x' }],
    ] as const
  ).map(
    ([kind, source]): PodFault => ({
      rule: 'volume-kind',
      name: `a volume of the kind ${kind}`,
      plant: (pod) => pod.add(pod.spec, 'volumes', { name: 'planted-k', [kind]: source }),
      at: new RegExp(`volumes\\[\\d\\]\\.${kind}$`),
    }),
  ),
  {
    rule: 'secret-store-class',
    name: 'the agent mounts a store',
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', {
        name: 'planted-s',
        csi: {
          driver: 'secrets-store.csi.k8s.io',
          readOnly: true,
          volumeAttributes: { secretProviderClass: 'x' },
        },
      });
      pod.add(pod.agent, 'volumeMounts', mount('planted-s', { readOnly: true }));
    },
    at: /volumes\[\d\]\.csi$/,
  },
  {
    rule: 'service-account-token',
    name: 'a projected token in the agent',
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', {
        name: 'planted-t',
        projected: { sources: [{ serviceAccountToken: { path: 'token' } }] },
      });
      pod.add(pod.agent, 'volumeMounts', mount('planted-t', { readOnly: true }));
    },
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'service-account-token',
    name: 'a certificate of the pod in the agent',
    plant: (pod) => {
      const signerName = 'example.com/api-client';
      const sources = [{ podCertificate: { signerName, keyType: 'ED25519', credentialBundlePath: 'pem' } }];
      pod.add(pod.spec, 'volumes', { name: 'planted-pc', projected: { sources } });
      pod.add(pod.agent, 'volumeMounts', mount('planted-pc', { readOnly: true }));
    },
    at: /containers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'service-account-token',
    name: 'a projected token in the resolver',
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', {
        name: 'planted-t',
        projected: { sources: [{ serviceAccountToken: { path: 'token' } }] },
      });
      pod.add(pod.resolver, 'volumeMounts', mount('planted-t', { readOnly: true }));
    },
    at: /initContainers\[\d\]\.volumeMounts\[\d\]$/,
  },
  ...(
    [
      ['the resolver', 'busybox', 'image', 'busybox'],
      ['the resolver', 'a command', 'command', ['sh']],
      [
        'the resolver',
        '--relaxed',
        'args',
        ['serve', '--config', '/etc/secret-resolver/config.yaml', '--relaxed'],
      ],
      ['the resolver', 'another command of ours', 'args', ['get', '--config', '/x']],
      ['the resolver', 'a hook', 'lifecycle', { postStart: { exec: { command: ['sh'] } } }],
      ['the resolver', 'an exec probe', 'readinessProbe', { exec: { command: ['sh'] } }],
      ['the self-test', '/bin/true', 'command', ['/bin/true']],
      ['the self-test', 'another image', 'image', 'registry.example/other/secret-resolver:0.1.0'],
      ['the self-test', 'no argument', 'args', ['self-test']],
      ['the self-test', 'help', 'args', ['--help']],
    ] as const
  ).map(
    ([who, what, field, value]): PodFault => ({
      rule: 'resolver-command',
      name: `${what} for ${who}`,
      plant: (pod) => set(who === 'the resolver' ? pod.resolver : pod.selfTest, field, value),
      at: new RegExp(`initContainers\\[\\d\\]\\.${field}(\\.exec)?$`),
    }),
  ),
  ...(
    [
      ['accepts an attack', (args) => [...args, '--accept', 'secret-paths']],
      ['is lenient', (args) => [...args, '--lenient']],
      ['leaves out the Secrets', (args) => [...args, '--allow-mount', '/var/lib/secret-resolver/secrets']],
      ['looks for another UID', (args) => args.map((arg) => (arg === '10771' ? '4242' : arg))],
      ['tries another Secret', (args) => args.map((arg) => arg.replace(/\/gitlab$/, '/other'))],
      ['tries another socket', (args) => args.map((arg) => arg.replace(/^\/run\/.*\.sock$/, '/x/y.sock'))],
      ['tries another folder', (args) => args.map((arg) => arg.replace('/var/lib/', '/opt/'))],
    ] as [string, (args: string[]) => string[]][]
  ).map(
    ([what, change]): PodFault => ({
      rule: 'resolver-command',
      name: `the self-test ${what}`,
      plant: (pod) => set(pod.selfTest, 'args', change(pod.selfTest.args as unknown as string[])),
      at: /initContainers\[\d\]\.args$/,
    }),
  ),
  ...['NODE_OPTIONS', 'LD_PRELOAD', 'SSLKEYLOGFILE'].map(
    (name): PodFault => ({
      rule: 'self-loader-environment',
      name: `the resolver has ${name}`,
      plant: (pod) => pod.add(pod.resolver, 'env', { name, value: 'x' }),
      at: /initContainers\[\d\]\.env\[\d\]$/,
    }),
  ),
  {
    rule: 'self-loader-environment',
    name: 'the self-test has NODE_OPTIONS',
    plant: (pod) => pod.add(pod.selfTest, 'env', { name: 'NODE_OPTIONS', value: '--require /x.cjs' }),
    at: /initContainers\[\d\]\.env\[\d\]$/,
  },
  {
    rule: 'self-loader-environment',
    name: 'the self-test takes its environment from a ConfigMap',
    plant: (pod) => pod.add(pod.selfTest, 'envFrom', { configMapRef: { name: 'x' } }),
    at: /initContainers\[\d\]\.envFrom$/,
  },
  {
    rule: 'self-loader-environment',
    name: 'the resolver takes its environment from a ConfigMap',
    plant: (pod) => pod.add(pod.resolver, 'envFrom', { configMapRef: { name: 'x' } }),
    at: /initContainers\[\d\]\.envFrom$/,
  },
  ...['secret-resolver', 'secret-resolver-self-test'].map(
    (target): PodFault => ({
      rule: 'debug-target',
      name: `a debug container that targets ${target}`,
      plant: (pod) =>
        pod.add(pod.spec, 'ephemeralContainers', {
          name: 'planted-d',
          image: 'x',
          targetContainerName: target,
          securityContext: { runAsUser: 4000, allowPrivilegeEscalation: false },
        }),
      at: /ephemeralContainers\[\d\]\.targetContainerName$/,
    }),
  ),
  {
    rule: 'secret-mounted-elsewhere',
    name: 'a debug container mounts the Secret',
    plant: (pod) =>
      pod.add(pod.spec, 'ephemeralContainers', {
        name: 'planted-d',
        image: 'x',
        securityContext: { runAsUser: 4000, allowPrivilegeEscalation: false },
        volumeMounts: [mount('secret-resolver-secret-gitlab')],
      }),
    at: /ephemeralContainers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'host-network',
    name: "the node's network",
    plant: (pod) => set(pod.spec, 'hostNetwork', true),
    at: /spec\.hostNetwork$/,
  },
  ...[8086, 9090].map(
    (containerPort): PodFault => ({
      rule: 'port-collision',
      name: `the supervisor has port ${containerPort}`,
      plant: (pod) => pod.add(pod.supervisor, 'ports', { containerPort }),
      at: /containers\[\d\]\.ports\[\d\]\.containerPort$/,
    }),
  ),
  ...(
    [
      ['livenessProbe', 'httpGet'],
      ['readinessProbe', 'tcpSocket'],
      ['startupProbe', 'grpc'],
    ] as const
  ).map(
    ([probe, action]): PodFault => ({
      rule: 'port-collision',
      name: `the ${probe} of the agent asks a port of the resolver by ${action}`,
      plant: (pod) => set(pod.agent, probe, { [action]: { port: 8086 } }),
      at: new RegExp(`containers\\[\\d\\]\\.${probe}\\.${action}\\.port$`),
    }),
  ),
  ...(
    [
      ['reloader.stakater.com/auto', 'true'],
      ['secret.reloader.stakater.com/auto', 'true'],
      ['secret.reloader.stakater.com/reload', 'other, gitlab'],
      ['reloader.stakater.com/auto', 'True'],
      ['secret.reloader.stakater.com/auto', '1'],
      ['secret.reloader.stakater.com/reload', 'git.*'],
      ['secret.reloader.stakater.com/reload', '(gitlab|other)'],
    ] as const
  ).map(
    ([key, value]): PodFault => ({
      rule: 'reloader-annotation',
      name: `${key}: ${value}`,
      plant: (pod) => set(pod.annotations, key, value),
      at: /metadata\.annotations\..*stakater/,
      lintOnly: 'it breaks no boundary, and the annotation of a Deployment is not on its pods',
    }),
  ),
  {
    rule: 'role-annotation',
    name: 'a tenant makes its agent the supervisor',
    plant: (pod) => set(pod.annotations, 'secret-resolver/supervisors', 'agent'),
    at: /metadata\.annotations\.secret-resolver\/supervisors$/,
  },
  {
    rule: 'role-annotation',
    name: 'a tenant changes the record of the injection',
    plant: (pod) => {
      const record = JSON.parse(String(pod.annotations['secret-resolver/injected']));
      const hash = 'd41d8cd98f00b204e9800998ecf8427e';
      set(
        pod.annotations,
        'secret-resolver/injected',
        JSON.stringify({ ...record, hash, supervisors: ['agent'] }),
      );
    },
    at: /metadata\.annotations\.secret-resolver\/injected$/,
  },
  ...(
    [
      ['runAsNonRoot', false],
      ['allowPrivilegeEscalation', true],
      ['readOnlyRootFilesystem', false],
      ['capabilities', { drop: ['NET_RAW'] }],
      ['seccompProfile', { type: 'Unconfined' }],
    ] as const
  ).map(
    ([field, value]): PodFault => ({
      rule: 'resolver-privileges',
      name: `the resolver's ${field}`,
      plant: (pod) => set(pod.security(pod.resolver), field, value),
      at: /initContainers\[\d\]\.securityContext$/,
    }),
  ),
  {
    rule: 'resolver-order',
    name: 'an init container behind the resolver',
    plant: (pod) =>
      pod.add(pod.spec, 'initContainers', {
        name: 'planted-i',
        image: 'x',
        securityContext: { runAsUser: 3000 },
      }),
    at: /initContainers\[\d\]$/,
  },
  {
    rule: 'resolver-order',
    name: 'a resolver that is no native sidecar',
    plant: (pod) => set(pod.resolver, 'restartPolicy', undefined),
    at: /initContainers\[\d\]$/,
  },
  {
    rule: 'service-account-token',
    name: 'the token of the service account',
    plant: (pod) => set(pod.spec, 'automountServiceAccountToken', true),
    at: /spec\.automountServiceAccountToken$/,
  },
];

/** Plants faults in the one pod of a manifest, and writes it down again. */
export function plant(text: string, template: readonly string[], faults: readonly PodFault[]): string {
  const object = parseAllDocuments(text, { version: '1.1' })[0]?.toJS() as Tree;
  const holder = template.reduce<Tree>((at, key) => at[key] as unknown as Tree, object);
  const pod = new PlantedPod(holder as never);
  for (const fault of faults) fault.plant(pod);
  return stringify(object, { version: '1.1', aliasDuplicateObjects: false });
}
