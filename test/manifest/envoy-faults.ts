/** Faults to plant in a pod for which inject added an Envoy. */
import type { PlantedPod, PodFault, Tree } from './faults.ts';

const egress = (pod: PlantedPod) => pod.named('initContainers', 'egress');
const envoy = (pod: PlantedPod) => pod.named('initContainers', 'envoy');
const mount = (name: string, more: object = {}) => ({ name, mountPath: `/planted-${name}`, ...more });
const set = (tree: Tree, field: string, value: unknown) => {
  tree[field] = value as never;
};
/** The self-test mounts what the agent mounts. */
const inAgent = (pod: PlantedPod, entry: object) => {
  for (const container of [pod.agent, pod.selfTest]) pod.add(container, 'volumeMounts', entry);
};
const uid = (rule: string, name: string, who: (pod: PlantedPod) => Tree, runAsUser: number): PodFault => ({
  rule,
  name,
  plant: (pod) => set(pod.security(who(pod)), 'runAsUser', runAsUser),
  at: /securityContext(\.runAsUser)?$/,
});
const moved = (pod: PlantedPod, name: string) => {
  const container = pod.named('initContainers', name);
  pod.spec.initContainers = pod.list('initContainers').filter((each) => each !== container) as never;
  return container;
};

const KIT = [
  ['the egress process', egress],
  ['Envoy', envoy],
] as const;

export const ENVOY_FAULTS: readonly PodFault[] = [
  ...KIT.flatMap(([what, who]): PodFault[] => [
    uid('supervisor-uid-shared', `${what} has the UID of the agent`, who, 1000),
    uid('resolver-uid-shared', `${what} has the UID of the resolver`, who, 10771),
    uid('resolver-privileges', `${what} is root`, who, 0),
    {
      rule: 'resolver-privileges',
      name: `${what} may write its root file system`,
      plant: (pod) => set(pod.security(who(pod)), 'readOnlyRootFilesystem', false),
      at: /initContainers\[\d\]\.securityContext$/,
    },
    {
      rule: 'resolver-privileges',
      name: `${what} may gain privileges`,
      plant: (pod) => set(pod.security(who(pod)), 'allowPrivilegeEscalation', true),
      at: /initContainers\[\d\]\.securityContext$/,
    },
    ...['SYS_PTRACE', 'NET_ADMIN'].map(
      (capability): PodFault => ({
        rule: 'capability',
        name: `${what} adds ${capability}`,
        plant: (pod) => set(pod.security(who(pod)), 'capabilities', { drop: ['ALL'], add: [capability] }),
        at: /initContainers\[\d\]\.securityContext\.capabilities\.add$/,
      }),
    ),
    {
      rule: 'secret-mounted-elsewhere',
      name: `${what} mounts the Secret`,
      plant: (pod) =>
        pod.add(who(pod), 'volumeMounts', mount('secret-resolver-secret-gitlab', { readOnly: true })),
      at: /initContainers\[\d\]\.volumeMounts\[\d\]$/,
    },
    {
      rule: 'secret-in-environment',
      name: `${what} takes the Secret by env`,
      plant: (pod) =>
        pod.add(who(pod), 'env', {
          name: 'T',
          valueFrom: { secretKeyRef: { name: 'gitlab', key: 'token' } },
        }),
      at: /initContainers\[\d\]\.env\[\d\]\.valueFrom\.secretKeyRef$/,
    },
    {
      rule: 'resolver-order',
      name: `${what} starts with the agent`,
      plant: (pod) => {
        const { restartPolicy: _, startupProbe: __, ...container } = moved(pod, String(who(pod).name));
        pod.add(pod.spec, 'containers', container);
      },
      at: /containers\[\d\]$/,
    },
    {
      rule: 'resolver-order',
      name: `${what} is waited for like an init container`,
      plant: (pod) => {
        set(who(pod), 'restartPolicy', undefined);
        set(who(pod), 'startupProbe', undefined);
      },
      at: /initContainers\[\d\]$/,
    },
    {
      rule: 'resolver-order',
      name: `${what} starts after the self-test`,
      plant: (pod) => {
        const name = String(who(pod).name);
        pod.add(pod.spec, 'initContainers', moved(pod, name));
      },
      at: /initContainers\[\d\]$/,
    },
    {
      rule: 'resolver-order',
      name: `${what} starts before the resolver`,
      plant: (pod) => {
        const container = moved(pod, String(who(pod).name));
        pod.spec.initContainers = [container, ...pod.list('initContainers')] as never;
      },
      at: /initContainers\[\d\]$/,
    },
  ]),
  {
    rule: 'supervisor-uid-shared',
    name: 'a third container has the UID of Envoy',
    plant: (pod) =>
      pod.add(pod.spec, 'containers', { name: 'planted', image: 'x', securityContext: { runAsUser: 1337 } }),
    at: /containers\[\d\]\.securityContext\.runAsUser$/,
  },
  ...(
    [
      ['the egress folder', 'secret-resolver-egress', true],
      ['the folder of the CA, writable', 'secret-resolver-ca', false],
    ] as const
  ).map(
    ([what, volume, readOnly]): PodFault => ({
      rule: 'egress-folders',
      name: `the agent mounts ${what}`,
      plant: (pod) => inAgent(pod, mount(volume, { readOnly })),
      at: /ontainers\[\d\]\.volumeMounts\[\d\]$/,
    }),
  ),
  {
    rule: 'egress-folders',
    name: 'the agent mounts the egress folder, whose volume has another name',
    plant: (pod) => {
      set(pod.named('volumes', 'secret-resolver-egress'), 'name', 'renamed');
      for (const container of [egress(pod), envoy(pod)])
        for (const entry of container.volumeMounts as unknown as Tree[])
          if (String(entry.name) === 'secret-resolver-egress') set(entry, 'name', 'renamed');
      inAgent(pod, mount('renamed', { readOnly: true }));
    },
    at: /ontainers\[\d\]\.volumeMounts\[\d\]$/,
  },
  ...['secret-resolver-egress', 'secret-resolver-ca'].flatMap((name) =>
    (
      [
        ['on a disk', { emptyDir: {} }],
        ['on the node', { hostPath: { path: '/etc/ssl/certs' } }],
        ['in a claim', { persistentVolumeClaim: { claimName: 'x' } }],
      ] as const
    ).map(
      ([where, source]): PodFault => ({
        rule: 'egress-folders',
        name: `${name} ${where}`,
        plant: (pod) => {
          const volume = pod.named('volumes', name);
          set(volume, 'emptyDir', undefined);
          Object.assign(volume, source);
        },
        at: /volumes\[\d\]$/,
      }),
    ),
  ),
  {
    rule: 'egress-folders',
    name: 'Envoy may write its configuration',
    plant: (pod) => {
      for (const entry of envoy(pod).volumeMounts as unknown as Tree[]) set(entry, 'readOnly', false);
    },
    at: /initContainers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'egress-folders',
    name: 'Envoy mounts the configuration of the resolver',
    plant: (pod) => pod.add(envoy(pod), 'volumeMounts', mount('secret-resolver-config', { readOnly: true })),
    at: /initContainers\[\d\]\.volumeMounts\[\d\]$/,
  },
  {
    rule: 'egress-folders',
    name: 'the egress process mounts a token',
    plant: (pod) => {
      const sources = [{ serviceAccountToken: { path: 'token' } }];
      pod.add(pod.spec, 'volumes', { name: 'planted', projected: { sources } });
      pod.add(egress(pod), 'volumeMounts', mount('planted', { readOnly: true }));
    },
    at: /volumes\[\d\]$/,
  },
  {
    rule: 'resolver-volume-shared',
    name: 'the egress process may write the configuration',
    plant: (pod) => {
      for (const entry of egress(pod).volumeMounts as unknown as Tree[])
        if (String(entry.name) === 'secret-resolver-config') set(entry, 'readOnly', false);
    },
    at: /initContainers\[\d\]\.volumeMounts\[\d\]$/,
  },
  ...(
    [
      ['the agent', inAgent],
      ['Envoy', (pod: PlantedPod, entry: object) => pod.add(envoy(pod), 'volumeMounts', entry)],
    ] as const
  ).map(
    ([what, put]): PodFault => ({
      rule: 'socket-mounted-elsewhere',
      name: `${what} mounts the resolver's socket`,
      plant: (pod) => put(pod, mount('secret-resolver-socket', { readOnly: true })),
      at: /ontainers\[\d\]\.volumeMounts\[\d\]$/,
    }),
  ),
  ...(
    [
      ['an admin interface', (args) => [...args, '--admin-address-path', '/tmp/admin']],
      ['a configuration in its arguments', (args) => [...args, '--config-yaml', 'admin: {}']],
      ['a configuration from elsewhere', (args) => args.map((arg) => arg.replace('/run/', '/etc/'))],
      ['hot restart', (args) => args.slice(0, 2)],
      ['no arguments', () => []],
    ] as [string, (args: string[]) => string[]][]
  ).map(
    ([what, change]): PodFault => ({
      rule: 'envoy-command',
      name: `Envoy with ${what}`,
      plant: (pod) => set(envoy(pod), 'args', change(envoy(pod).args as unknown as string[])),
      at: /initContainers\[\d\]\.args$/,
    }),
  ),
  ...(
    [
      ['command', ['sh', '-c', 'envoy']],
      ['env', [{ name: 'TOKEN', value: 'x' }]],
      ['envFrom', [{ configMapRef: { name: 'x' } }]],
      ['ports', [{ containerPort: 9901 }]],
      ['lifecycle', { postStart: { exec: { command: ['sh'] } } }],
      ['livenessProbe', { exec: { command: ['sh'] } }],
      ['image', 'registry.example/proxy:1'],
    ] as const
  ).map(
    ([field, value]): PodFault => ({
      rule: 'envoy-command',
      name: `Envoy with its own ${field}`,
      plant: (pod) => set(envoy(pod), field, value),
      at: new RegExp(`initContainers\\[\\d\\]\\.${field}$`),
    }),
  ),
  ...(
    [
      ['args', ['serve']],
      ['image', 'registry.example/other:1'],
      ['command', ['sh']],
    ] as const
  ).map(
    ([field, value]): PodFault => ({
      rule: 'resolver-command',
      name: `the egress process with its own ${field}`,
      plant: (pod) => set(egress(pod), field, value),
      at: new RegExp(`initContainers\\[\\d\\]\\.${field}$`),
    }),
  ),
  {
    rule: 'resolver-command',
    name: 'the egress process with a probe that runs something else',
    plant: (pod) =>
      set(egress(pod), 'startupProbe', { exec: { command: ['/usr/local/bin/node', '-e', '0'] } }),
    at: /initContainers\[\d\]\.startupProbe\.exec$/,
  },
  {
    rule: 'self-loader-environment',
    name: 'the egress process with NODE_OPTIONS',
    plant: (pod) =>
      pod.add(egress(pod), 'env', { name: 'NODE_OPTIONS', value: '--import data:text/javascript,' }),
    at: /initContainers\[\d\]\.env\[\d\]$/,
  },
  {
    rule: 'proxy-variable',
    name: 'an agent without HTTPS_PROXY',
    plant: (pod) => {
      const env = pod.agent.env as unknown as Tree[];
      set(
        pod.agent,
        'env',
        env.filter(({ name }) => !/^https_proxy$/i.test(String(name))),
      );
    },
    at: /containers\[\d\]$/,
    lintOnly: 'it breaks no boundary: the placeholders go to the destination',
  },
];

/** Changes that neither lint nor the policy has anything against. */
export const ENVOY_ALLOWED: readonly Pick<PodFault, 'name' | 'plant'>[] = [
  {
    name: 'a ConfigMap with trusted CAs for Envoy',
    plant: (pod) => {
      pod.add(pod.spec, 'volumes', { name: 'roots', configMap: { name: 'roots' } });
      pod.add(envoy(pod), 'volumeMounts', { name: 'roots', mountPath: '/etc/ssl/certs', readOnly: true });
    },
  },
  {
    name: 'a container that reads the CA',
    plant: (pod) =>
      pod.add(pod.spec, 'containers', {
        name: 'other',
        image: 'x',
        securityContext: { runAsUser: 2000 },
        volumeMounts: [{ name: 'secret-resolver-ca', mountPath: '/ca', readOnly: true }],
      }),
  },
  {
    name: 'an annotation in place of the record, as the mutating policy leaves it',
    plant: (pod) => {
      set(pod.annotations, 'secret-resolver/injected', undefined);
      set(pod.annotations, 'secret-resolver/supervisors', 'envoy');
    },
  },
];
