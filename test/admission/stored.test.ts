import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { type InjectRequest, inject, uninject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { podArbitrary } from '../manifest/pods.ts';
import { ENVOY_INPUTS, INPUTS, readEnvoyInput, readInput, requestFor } from '../manifest/support.ts';
import {
  ANNOTATED_ROLES,
  ApiServer,
  BUILD_TIMEOUT_MS,
  configMap,
  deployedPolicies,
  describeWithApiServer,
  namespace,
  type PodObject,
} from './api-server.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const { settings } = requestFor('');

/** The policy takes no Secret whose name is not a short DNS label, so the second one gets another name. */
function withShortNames(config: Config): Config {
  return {
    ...config,
    providers: config.providers.map((provider) => ({
      ...provider,
      from: provider.from.map((bulk) => ({ ...bulk, secret: { ...bulk.secret, name: 'models' } })),
    })),
  };
}

const testConfig = (of: string | undefined) => withShortNames(requestFor('').configFor(of));

const deployConfig = (folder: string) =>
  loadConfig(
    join(DEPLOY, folder, 'config.yaml'),
    {
      SECRET_RESOLVER_SANDBOX_ID: 'x',
      SECRET_RESOLVER_SANDBOX_NAME: 'x',
      SECRET_RESOLVER_SANDBOX_NAMESPACE: 'agents',
    },
    { providersDir: join(DEPLOY, 'component/providers') },
  );

/** What `deploy/component` tells the policy. */
function deployedInjection(): Record<string, string> {
  const { configMapGenerator } = parse(readFileSync(join(DEPLOY, 'component/kustomization.yaml'), 'utf8'));
  const { literals } = configMapGenerator.find(
    ({ name }: { name: string }) => name === 'secret-resolver-injection',
  );
  return Object.fromEntries(literals.map((literal: string) => literal.split(/=(.*)/s, 2)));
}

/** The pods that the manifests of a stream make, labelled, and without what admission cannot add. */
function podsOf(text: string, annotations: Record<string, string> = {}): PodObject[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS())
    .flatMap((object) => (object?.kind === 'List' ? object.items : [object]))
    .flatMap((object) => {
      const template =
        object?.kind === 'Pod'
          ? object
          : (object?.spec?.jobTemplate?.spec.template ?? object?.spec?.podTemplate ?? object?.spec?.template);
      if (template === undefined || template.metadata?.annotations?.['secret-resolver/inject'] === 'false')
        return [];
      return [
        {
          apiVersion: 'v1' as const,
          kind: 'Pod' as const,
          metadata: {
            name: 'x',
            namespace: object.metadata.namespace ?? 'agents',
            labels: { ...template.metadata?.labels, 'secret-resolver/inject': 'true' },
            annotations: { ...template.metadata?.annotations, ...annotations },
          },
          spec: { ...template.spec, automountServiceAccountToken: false },
        },
      ];
    });
}

interface Shape {
  readonly name: string;
  readonly pod: PodObject;
  readonly changes: Partial<InjectRequest>;
}

const INJECTION = {
  credentials: 'GITLAB_TOKEN',
  image: settings.image,
  secrets: 'gitlab, models',
  providerFiles: settings.providerFiles.join(','),
  profileFiles: settings.profileFiles.join(','),
};

/** A StatefulSet's volumes come from its claim templates. */
const CLAIMED = [{ name: 'data', emptyDir: {} }];

const SHAPES: readonly Shape[] = [
  ...INPUTS.flatMap(({ name, choice }) =>
    podsOf(readInput(name), choice.noAgent ? { 'secret-resolver/agent': '' } : {}).map((pod) => ({
      name,
      pod: name === 'statefulset.yaml' ? { ...pod, spec: { ...pod.spec, volumes: CLAIMED } } : pod,
      changes: { configFor: testConfig },
    })),
  ),
  ...ENVOY_INPUTS.flatMap(({ name }) =>
    podsOf(readEnvoyInput(name), { 'secret-resolver/supervisors': 'envoy' }).map((pod) => ({
      name: `envoy/${name}`,
      pod,
      changes: { configFor: testConfig },
    })),
  ),
  ...(
    [
      ['base/sandbox-template.yaml', 'component'],
      ['envoy/pod.yaml', 'envoy/component'],
    ] as const
  ).flatMap(([name, folder]) =>
    podsOf(uninject(requestFor(readFileSync(join(DEPLOY, name), 'utf8'))).text).map((pod) => ({
      name: `deploy/${name}`,
      pod,
      changes: {
        configFor: () => deployConfig(folder),
        settings: { ...settings, providerFiles: ['gitlab.yaml'], profileFiles: [] },
      },
    })),
  ),
  ...podsOf(readInput('pod.yaml')).flatMap((pod) => {
    const [agent, supervisor] = pod.spec.containers as [object, object];
    const shape = (
      name: string,
      spec: object,
      annotations = {},
      more: Partial<typeof settings> = {},
    ): Shape => ({
      name,
      pod: {
        ...pod,
        metadata: {
          ...pod.metadata,
          annotations,
          ...('imagePullPolicy' in more ? { namespace: 'tenant-b' } : {}),
        },
        spec: { ...pod.spec, ...spec },
      },
      changes: { configFor: testConfig, settings: { ...settings, ...more } },
    });
    const tls = { name: 'tls', mountPath: '/own/tls' };
    return [
      shape('an agent with a Secret of its own', {
        containers: [{ ...agent, volumeMounts: [tls] }, supervisor],
      }),
      shape('an agent with a path that has a space', {
        containers: [{ ...agent, volumeMounts: [{ ...tls, mountPath: '/own tls' }] }, supervisor],
      }),
      shape(
        'resources by annotation',
        {},
        {
          'secret-resolver/resources': 'limits.cpu=none, requests.ephemeral-storage=1Mi',
          'secret-resolver/self-test-resources': 'limits.memory=512Mi',
        },
      ),
      shape(
        'pull policy and pull secrets',
        {},
        {},
        { imagePullPolicy: 'Never', imagePullSecrets: ['one', 'two'] },
      ),
      shape(
        'a pull secret of its own',
        { imagePullSecrets: [{ name: 'two' }, { name: 'own' }] },
        {},
        {
          imagePullPolicy: 'Never',
          imagePullSecrets: ['one', 'two'],
        },
      ),
      shape(
        'Envoy and a pull policy',
        { containers: [agent] },
        { 'secret-resolver/supervisors': 'envoy' },
        { imagePullPolicy: 'Never', imagePullSecrets: ['one', 'two'] },
      ),
      shape('fsGroup', { securityContext: { fsGroup: 1000 } }),
      shape('19 containers', {
        containers: [
          ...Array.from({ length: 17 }, (_, at) => ({
            name: `more-${at}`,
            image: 'x',
            securityContext: { runAsUser: 3000 + at },
          })),
          agent,
          supervisor,
        ],
      }),
      shape(
        'two supervisors that are named',
        {
          containers: [
            agent,
            supervisor,
            { ...supervisor, name: 'gate', securityContext: { runAsUser: 0, runAsGroup: 1000 } },
          ],
        },
        { 'secret-resolver/supervisors': 'supervisor, gate' },
      ),
    ];
  }),
];

describeWithApiServer('the stored pod', () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await ApiServer.start([
      ...deployedPolicies(),
      namespace('tenant-a', ANNOTATED_ROLES),
      namespace('tenant-b', ANNOTATED_ROLES),
      namespace('agents', ANNOTATED_ROLES),
      configMap('secret-resolver-injection', 'tenant-a', INJECTION),
      configMap('secret-resolver-injection', 'tenant-b', {
        ...INJECTION,
        imagePullPolicy: 'Never',
        imagePullSecrets: 'one, two',
      }),
      configMap('secret-resolver-injection', 'agents', deployedInjection()),
    ]);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => server[Symbol.dispose]());

  /** Stored pods after the policy and after inject, without what tells one pod from another. */
  async function storedBoth({ pod, changes }: Pick<Shape, 'pod' | 'changes'>) {
    const { text } = inject(requestFor(JSON.stringify(pod), changes));
    const injected = parseAllDocuments(text, { version: '1.1' })[0]?.toJS();
    const [byPolicy, byInject] = [await server.request(pod), await server.request(injected)];
    for (const { denied, invalid } of [byPolicy, byInject]) expect(denied ?? invalid).toBeUndefined();
    return [byPolicy, byInject].map(({ object }) => {
      const { annotations: { 'secret-resolver/injected': _, ...annotations } = {}, ...metadata } =
        object?.metadata ?? ({} as PodObject['metadata']);
      return {
        spec: object?.spec,
        metadata: { ...metadata, annotations, uid: '', creationTimestamp: '' },
      };
    });
  }

  it('is compared for at least 15 shapes', () => {
    expect(SHAPES.length).toBeGreaterThanOrEqual(15);
  });

  it.each(SHAPES)('is the same after the policy and after inject: $name', async (shape) => {
    const [byPolicy, byInject] = await storedBoth(shape);
    expect(byPolicy).toEqual(byInject);
    expect(JSON.stringify(byPolicy)).toContain('"secret-resolver"');
    const pod = { apiVersion: 'v1', kind: 'Pod', ...byPolicy };
    const text = `${JSON.stringify(pod)}\n---\n${namespace('tenant-a', ANNOTATED_ROLES)}`;
    const { findings } = lint({ file: shape.name, text, choice: {}, rules: RULES });
    expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
  });

  it('is the same for any pod', async () => {
    await fc.assert(
      fc.asyncProperty(podArbitrary, async ({ metadata, spec }) => {
        const manifest = { kind: 'Pod', metadata: { ...metadata, namespace: 'tenant-a' }, spec };
        const [pod] = podsOf(JSON.stringify(manifest));
        const [byPolicy, byInject] = await storedBoth({
          pod: pod as PodObject,
          changes: { configFor: testConfig },
        });
        expect(byPolicy).toEqual(byInject);
      }),
      { numRuns: 60 },
    );
  });
});
