import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { inject } from '../../src/manifest/inject.ts';
import { readInput, requestFor } from '../manifest/support.ts';
import {
  type Answer,
  ApiServer,
  BUILD_TIMEOUT_MS,
  configMap,
  deployedPolicies,
  describeWithApiServer,
  namespace,
  type PodObject,
  rulesOf,
} from './api-server.ts';

const IMAGE = 'registry.example/secret-resolver:0.1.0';
const COMPLETE = { image: IMAGE, secrets: 'gitlab', providerFiles: 'gitlab.yaml' };

/** Namespaces by their ConfigMap secret-resolver-injection, each with what is wrong in it. */
const MISTAKES: Readonly<Record<string, { data: Record<string, string>; message: RegExp }>> = {
  'a-typo': {
    data: { image: IMAGE, secret: 'gitlab' },
    message: /unknown key secret in the ConfigMap .*secrets/,
  },
  'a-new-key': { data: { ...COMPLETE, uid: '5' }, message: /unknown key uid/ },
  'no-image': { data: { secrets: 'gitlab' }, message: /has no image/ },
  'no-secrets': { data: { image: IMAGE, secrets: ' , ' }, message: /lists no secrets/ },
  'a-dotted-secret': {
    data: { ...COMPLETE, secrets: 'team.gitlab' },
    message: /team\.gitlab cannot be injected/,
  },
  'a-dotted-credential': {
    data: { ...COMPLETE, credentials: 'GITLAB_TOKEN, a.b' },
    message: /credential a\.b .* is not an environment name/,
  },
  'a-long-secret': { data: { ...COMPLETE, secrets: 'x'.repeat(41) }, message: /at most 40 characters/ },
};

function podIn(of: string, metadata: Partial<PodObject['metadata']> = {}, spec: object = {}): PodObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'x', namespace: of, ...metadata },
    spec: {
      automountServiceAccountToken: false,
      containers: [
        { name: 'agent', image: 'agent', securityContext: { runAsUser: 1000 } },
        { name: 'supervisor', image: 'proxy', securityContext: { runAsUser: 1337 } },
      ],
      ...spec,
    },
  };
}

const asking = { labels: { 'secret-resolver/inject': 'true' } };
const container = (name: string, more: object = {}) => ({
  name,
  image: name,
  securityContext: { runAsUser: 1000 },
  ...more,
});

function injectedPod(): PodObject {
  return parseAllDocuments(inject(requestFor(readInput('pod.yaml'))).text)[0]?.toJS();
}

function admitted(answer: Answer): PodObject {
  expect(answer).toMatchObject({ object: { kind: 'Pod' }, warnings: [] });
  expect(answer.denied ?? answer.invalid).toBeUndefined();
  return answer.object as PodObject;
}

describeWithApiServer('deploy/policies', () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await ApiServer.start([
      ...deployedPolicies(),
      ...['kube-system', 'without-configmap', 'tenant-a', ...Object.keys(MISTAKES)].map((name) =>
        namespace(name),
      ),
      configMap('secret-resolver-injection', 'tenant-a', COMPLETE),
      ...Object.entries(MISTAKES).map(([of, { data }]) => configMap('secret-resolver-injection', of, data)),
    ]);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => server[Symbol.dispose]());

  const inits = (pod: PodObject) =>
    ((pod.spec.initContainers ?? []) as { name: string }[]).map(({ name }) => name);

  it('are what the API server calls valid, its type check and their oldest release included', () => {
    expect(server.problems).toEqual([]);
  });

  it.each(['kube-system', 'without-configmap', 'tenant-a'])(
    'leave an unlabelled pod in %s unchanged',
    async (of) => {
      const pod = admitted(await server.request(podIn(of)));
      expect(inits(pod)).toEqual([]);
      expect(pod.spec.containers).toHaveLength(2);
      const other = podIn(of, { labels: { 'secret-resolver/inject': 'false' } });
      expect(inits(admitted(await server.request(other)))).toEqual([]);
    },
  );

  it('inject a labelled pod, once, and admit it', async () => {
    const pod = admitted(await server.request(podIn('tenant-a', asking)));
    expect(inits(pod)).toEqual(['secret-resolver', 'secret-resolver-self-test']);
    expect(inits(admitted(await server.request(pod)))).toEqual(inits(pod));
  });

  it('take the namespace from the request, and a name that is generated', async () => {
    const { name: _, ...metadata } = podIn('tenant-a', asking).metadata;
    const pod = podIn('tenant-a', { ...metadata, ...{ name: undefined, generateName: 'x-' } } as never);
    expect(JSON.stringify(admitted(await server.request(pod)))).toContain('tenant-a/gitlab');
  });

  it('refuse a labelled pod without a ConfigMap, and say what to create', async () => {
    const { denied } = await server.request(podIn('without-configmap', asking));
    expect(denied).toMatch(/Create the ConfigMap secret-resolver-injection in namespace without-configmap/);
  });

  it.each(Object.entries(MISTAKES))('refuse a labelled pod in %s', async (of, { message }) => {
    const answer = await server.request(podIn(of, asking));
    expect(answer.denied).toMatch(message);
    expect(answer.denied).toContain(`(namespace ${of})`);
    admitted(await server.request(podIn(of)));
  });

  const roles: readonly [string, Record<string, string>, object[], object[], RegExp][] = [
    ['no agent', {}, [container('main'), container('supervisor')], [], /no container agent to be the agent/],
    [
      'an agent that is not there',
      { 'secret-resolver/agent': 'main' },
      [container('agent'), container('supervisor')],
      [],
      /no container main to be the agent/,
    ],
    [
      'an agent that is an init container',
      {},
      [container('supervisor')],
      [container('agent')],
      /the agent agent is an init container/,
    ],
    ['no supervisor', {}, [container('agent'), container('gate')], [], /there is no supervisor/],
    [
      'a supervisor that is not there',
      { 'secret-resolver/supervisors': 'supervisor, gate' },
      [container('agent'), container('supervisor')],
      [],
      /no container gate to be the supervisor/,
    ],
    [
      'two supervisors, neither of them named',
      {},
      [container('agent'), container('supervisor'), container('openshell-supervisor-network')],
      [],
      /two supervisors: openshell-supervisor-network and supervisor/,
    ],
    [
      "OpenShell's combined topology",
      { 'secret-resolver/supervisors': 'agent' },
      [container('agent')],
      [],
      /set supervisor\.topology=sidecar/,
    ],
    [
      'resources that are none',
      { 'secret-resolver/resources': 'limits.gpu=1' },
      [container('agent'), container('supervisor')],
      [],
      /is not like limits\.cpu=500m/,
    ],
    [
      'Envoy for no agent',
      { 'secret-resolver/supervisors': 'envoy', 'secret-resolver/agent': '' },
      [container('main')],
      [],
      /Envoy serves only the agent of its own pod/,
    ],
    [
      'an agent that has a proxy of its own beside Envoy',
      { 'secret-resolver/supervisors': 'envoy' },
      [container('agent', { env: [{ name: 'HTTPS_PROXY', value: 'http://other' }] })],
      [],
      /the agent has the variable HTTPS_PROXY/,
    ],
    [
      'a container with the name that the added Envoy gets',
      { 'secret-resolver/supervisors': 'egress, envoy' },
      [container('agent'), container('envoy')],
      [],
      /container envoy is reserved/,
    ],
    [
      'a container with the name of ours',
      {},
      [container('agent'), container('supervisor'), container('secret-resolver-self-test')],
      [],
      /secret-resolver-self-test is reserved/,
    ],
  ];
  it.each(roles)(
    'refuse a labelled pod with %s',
    async (_, annotations, containers, initContainers, message) => {
      const pod = podIn('tenant-a', { ...asking, annotations }, { containers, initContainers });
      expect((await server.request(pod)).denied).toMatch(message);
    },
  );

  it('refuse a volume with the name of ours', async () => {
    const pod = podIn('tenant-a', asking, { volumes: [{ name: 'secret-resolver-x', emptyDir: {} }] });
    expect((await server.request(pod)).denied).toMatch(/volume secret-resolver-x is reserved/);
  });

  it('refuse a pod that gets a token, which is added before policies run', async () => {
    const answer = await server.request(
      podIn('tenant-a', asking, { automountServiceAccountToken: undefined }),
    );
    expect(rulesOf(answer)).toEqual(['service-account-token']);
    expect(JSON.stringify(answer.object)).toContain('kube-api-access-');
  });

  it('know a pod that inject made without its label, and what was taken out of it since', async () => {
    const pod = injectedPod();
    admitted(await server.request(pod));
    const initContainers = (pod.spec.initContainers as { name: string }[]).map((one) =>
      one.name === 'secret-resolver' ? { ...one, name: 'renamed' } : one,
    );
    const answer = await server.request({ ...pod, spec: { ...pod.spec, initContainers } });
    expect(rulesOf(answer)).toContain('resolver-missing');
  });

  it('check a running pod again when its spec changes, and then only', async () => {
    const broken = podIn('tenant-a', asking);
    const annotated = podIn('tenant-a', { ...asking, annotations: { hurry: '1' } });
    admitted(await server.request(annotated, { old: broken }));
    const changed = podIn('tenant-a', asking, { activeDeadlineSeconds: 5 });
    expect(rulesOf(await server.request(changed, { old: broken }))).toContain('resolver-missing');
  });

  it('refuse a debug container with the UID of the resolver and its Secret', async () => {
    const old = admitted(await server.request(injectedPod()));
    const debug = (more: object) => ({
      ...old,
      spec: {
        ...old.spec,
        ephemeralContainers: [{ name: 'debugger', image: 'x', terminationMessagePolicy: 'File', ...more }],
      },
    });
    const change = { old, subresource: 'ephemeralcontainers' } as const;
    admitted(await server.request(debug({ securityContext: { runAsUser: 1000 } }), change));
    const answer = await server.request(
      debug({
        securityContext: { runAsUser: 10771 },
        volumeMounts: [{ name: 'secret-resolver-secret-gitlab', mountPath: '/x' }],
      }),
      change,
    );
    expect(rulesOf(answer)).toEqual(['resolver-uid-shared', 'secret-mounted-elsewhere']);
  });
});

describeWithApiServer('reserved Secrets', () => {
  let server: ApiServer;
  beforeAll(async () => {
    const lists = { annotations: { 'secret-resolver/reserved-secrets': 'gitlab, models' } };
    const asks = { labels: { 'secret-resolver/reserved': 'true' } };
    server = await ApiServer.start([
      ...deployedPolicies(),
      namespace('tenant-a', { ...asks, ...lists }),
      namespace('not-asking', lists),
      namespace('asking-for-nothing', asks),
    ]);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => server[Symbol.dispose]());

  const env = { env: [{ name: 'T', valueFrom: { secretKeyRef: { name: 'gitlab', key: 'token' } } }] };
  const envFrom = { envFrom: [{ secretRef: { name: 'models' } }] };
  const mounts = { volumeMounts: [{ name: 'v', mountPath: '/v' }] };
  const volume = (source: object) => ({ volumes: [{ name: 'v', ...source }] });
  const secret = volume({ secret: { secretName: 'gitlab' } });
  const agent = container('agent');
  const shapes: readonly [string, object][] = [
    ['a Secret volume', { ...secret, containers: [container('agent', mounts)] }],
    [
      'a Secret volume in an init container',
      { ...secret, containers: [agent], initContainers: [container('i', mounts)] },
    ],
    [
      'a projected volume',
      {
        ...volume({
          projected: { sources: [{ secret: { name: 'other' } }, { secret: { name: 'models' } }] },
        }),
        containers: [container('agent', mounts)],
      },
    ],
    [
      'a CSI volume whose driver is handed the Secret',
      {
        ...volume({ csi: { driver: 'd.example', nodePublishSecretRef: { name: 'gitlab' } } }),
        containers: [container('agent', mounts)],
      },
    ],
    ['env', { containers: [container('agent', env)] }],
    ['envFrom', { containers: [container('agent', envFrom)] }],
    ['env of an init container', { containers: [agent], initContainers: [container('i', env)] }],
    [
      'a main container with the name of the resolver',
      { ...secret, containers: [container('secret-resolver', mounts)] },
    ],
  ];

  it.each(shapes)('are refused to a pod without a resolver: %s', async (_, spec) => {
    const answer = await server.request(podIn('tenant-a', {}, spec));
    expect(answer.invalid).toBeUndefined();
    expect(rulesOf(answer, 'secret-resolver-reserved-secrets')).toHaveLength(1);
    const elsewhere = await server.request(podIn('not-asking', {}, spec));
    expect(rulesOf(elsewhere, 'secret-resolver-reserved-secrets')).toEqual([]);
  });

  it('are refused to a debug container', async () => {
    const old = admitted(await server.request(podIn('tenant-a', {}, { ...secret, containers: [agent] })));
    for (const more of [mounts, env, envFrom]) {
      const ephemeralContainers = [{ ...container('debug', more), terminationMessagePolicy: 'File' }];
      const pod = { ...old, spec: { ...old.spec, ephemeralContainers } };
      const answer = await server.request(pod, { old, subresource: 'ephemeralcontainers' });
      expect(answer.denied).toMatch(/reserved Secret.* container debug$/);
    }
  });

  it('are left to the resolver, and other Secrets to everybody', async () => {
    admitted(await server.request(injectedPod()));
    const spec = { ...volume({ secret: { secretName: 'own' } }), containers: [container('agent', mounts)] };
    admitted(await server.request(podIn('tenant-a', {}, spec)));
  });

  it('refuse every pod where the namespace asks and lists none', async () => {
    const { denied } = await server.request(podIn('asking-for-nothing'));
    expect(denied).toMatch(/annotation secret-resolver\/reserved-secrets/);
  });
});

describeWithApiServer('mistakes in a policy', () => {
  it.each([
    ['an unknown field', 'object.spec.?fsGroup.hasValue()', /undefined field 'fsGroup'/],
    [
      'a function of a newer release',
      'object.spec.containers.map(c, [c.name]).flatten().size() > 0',
      /1\.30.*flatten/s,
    ],
    ['a wrong type', 'object.spec.containers.size() == "1"', /no matching overload/],
  ])('%s is found', { timeout: BUILD_TIMEOUT_MS }, async (_, expression, problem) => {
    const [validating = ''] = deployedPolicies();
    const [first = ''] = /variables\.resolver\.size\(\) == 1(?=\n)/.exec(validating) ?? [];
    using server = await ApiServer.start([validating.replace(first, expression)]);
    expect(server.problems.join('\n')).toMatch(problem);
  });
});
