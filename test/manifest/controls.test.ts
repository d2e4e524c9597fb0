/** Rules that look at more than the pod, and what they allow. What they refuse is in faults.ts. */
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import { inject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { ALLOWED } from './allowed.ts';
import { type PodFault, plant } from './faults.ts';
import { readInput, requestFor } from './support.ts';

const pod = inject(requestFor(readInput('pod.yaml'))).text;
/** The other Secret of the resolver. */
const MODELS = 'team.models-with-a-name-that-is-rather-long';
const IMAGE = 'registry.example/secret-resolver:0.1.0';

type Options = Partial<Omit<Parameters<typeof lint>[0], 'file' | 'text'>>;

function rulesOf(text: string, options: Options = {}): string[] {
  const { findings } = lint({ file: 'm.yaml', text, choice: {}, rules: RULES, ...options });
  return [...new Set(findings.filter(({ severity }) => severity !== 'note').map(({ rule }) => rule))].sort();
}

/** The injected pod after a change, with other objects in the stream. */
function changed(change: PodFault['plant'], ...others: object[]): string {
  const text = plant(pod, [], [{ rule: '', name: '', plant: change, at: /$/ }]);
  return [text, ...others.map((object) => stringify(object))].join('---\n');
}

const object = (kind: string, name: string, more: object) => ({
  apiVersion: kind === 'ExternalSecret' ? 'external-secrets.io/v1' : 'v1',
  kind,
  metadata: { name, namespace: 'tenant-a', ...(more as { metadata?: object }).metadata },
  ...Object.fromEntries(Object.entries(more).filter(([key]) => key !== 'metadata')),
});

describe('secret-store-class', () => {
  const storeClass = (...secrets: string[]) => ({
    apiVersion: 'secrets-store.csi.x-k8s.io/v1',
    kind: 'SecretProviderClass',
    metadata: { name: 'store', namespace: 'tenant-a' },
    spec: { provider: 'vault', secretObjects: secrets.map((secretName) => ({ secretName, type: 'Opaque' })) },
  });
  const csi = { driver: 'secrets-store.csi.k8s.io', volumeAttributes: { secretProviderClass: 'store' } };
  const mountedBy = (who: 'agent' | 'supervisor', ...others: object[]) =>
    changed(
      (planted) => {
        planted.add(planted.spec, 'volumes', { name: 'store', csi });
        // The self-test has what the agent has.
        for (const container of who === 'agent' ? [planted.agent, planted.selfTest] : [planted.supervisor])
          planted.add(container, 'volumeMounts', { name: 'store', mountPath: '/store', readOnly: true });
      },
      ...others,
    );

  it.each([
    ['a class that writes a Secret of the resolver', 'agent', [storeClass('gitlab')], true],
    [
      'the same for the supervisor, which may be allowed less',
      'supervisor',
      [storeClass('x', 'gitlab')],
      true,
    ],
    ['a class that is not among the manifests', 'agent', [], true],
    ['the same for the supervisor', 'supervisor', [], false],
    ['a class that writes another Secret', 'agent', [storeClass('other')], false],
    ['a class that writes none', 'agent', [storeClass()], false],
  ] as const)('%s (%s)', (_, who, others, refused) => {
    expect(rulesOf(mountedBy(who, ...others))).toEqual(refused ? ['secret-store-class'] : []);
  });
});

describe('role-annotation', () => {
  const annotated = (...others: object[]) =>
    changed(
      (planted) => {
        planted.annotations['secret-resolver/supervisors'] = 'supervisor, helper' as never;
        planted.add(planted.spec, 'containers', {
          name: 'helper',
          image: 'x',
          securityContext: { runAsUser: 1338 },
        });
      },
      ...others,
    );
  const namespace = (labels: object) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'tenant-a', labels },
  });
  const ALLOWS = { 'secret-resolver/annotated-roles': 'true' };

  it.each([
    ['without a word of the operator', annotated(), {}, true],
    ['in a namespace that allows it', annotated(namespace(ALLOWS)), {}, false],
    [
      'in a namespace that does not',
      annotated(namespace({ ...ALLOWS, 'secret-resolver/annotated-roles': 'denied' })),
      {},
      true,
    ],
    [
      'as the command line says',
      annotated(),
      { choice: { agent: 'agent', supervisors: ['supervisor', 'helper'] } },
      false,
    ],
    ['as inject recorded', inject(requestFor(readInput('deployment.yaml'))).text, {}, false],
  ] as [string, string, Options, boolean][])('%s', (_, text, options, refused) => {
    expect(rulesOf(text, options)).toEqual(refused ? ['role-annotation'] : []);
  });
});

describe('host-path', () => {
  const mounting = (hostPath: object | null) =>
    changed((planted) => planted.add(planted.spec, 'volumes', { name: 'h', hostPath }));

  it.each([
    ['/var/vcap/data/kubelet/pods', 'copy of every Secret'],
    ['/mnt/./kubelet', 'copy of every Secret'],
    ['/var/snap//k8s/common', 'copy of every Secret'],
    ['/var/run/user/1000/podman/podman.sock', 'container runtime'],
    ['/run/nri/nri.sock', 'container runtime'],
    ['/run/host-containerd/containerd.sock', 'container runtime'],
    ['/var/lib/etcd/member', 'every Secret of the cluster'],
    ['/opt/../var/lib/kubelet', 'which leads anywhere by ..'],
  ])('%s: says what it is', (path, what) => {
    const { findings } = lint({ file: 'm', text: mounting({ path }), choice: {}, rules: RULES });
    expect(findings).toMatchObject([{ rule: 'host-path', message: expect.stringContaining(what) }]);
  });

  it('takes null for no hostPath, as the API server does', () => {
    expect(rulesOf(mounting(null))).toEqual([]);
  });
});

describe('exe-unreadable', () => {
  const withConfig = (config: object | string, metadata = {}) =>
    changed(
      () => {},
      object('ConfigMap', 'secret-resolver-config', {
        metadata,
        data: { 'config.yaml': typeof config === 'string' ? config : stringify(config) },
      }),
    );
  const caller = { name: 'a', providers: ['*'], exe: '/usr/bin/a' };

  it.each<[string, object | string, string | undefined]>([
    ['a caller', { callers: [{ ...caller, uid: 1337 }] }, 'callers[0].exe'],
    [
      'the second of what is trusted',
      { boundary: { trusted: [{ uid: 0 }, { uid: 0, exe: '/x' }] } },
      'boundary.trusted[1].exe',
    ],
    ['in JSON', JSON.stringify({ callers: [{ ...caller, uid: 0 }] }), 'callers[0].exe'],
    ["the resolver's own UID", { callers: [{ ...caller, uid: 10771 }] }, undefined],
    ['none', { callers: [{ name: 'a', uid: 1337 }], boundary: { trusted: [{ uid: 0 }] } }, undefined],
    ['no YAML', 'callers: [', undefined],
  ])('%s', (_, config, field) => {
    const { findings } = lint({ file: 'm', text: withConfig(config), choice: {}, rules: RULES });
    expect(findings.map(({ rule, path }) => [rule, path])).toEqual(
      field === undefined ? [] : [['exe-unreadable', expect.stringMatching(/^spec\.volumes\[\d\]$/)]],
    );
    if (field !== undefined) expect(findings[0]?.message).toContain(field);
  });

  it('leaves the ConfigMap of another namespace alone', () => {
    expect(rulesOf(withConfig({ callers: [{ ...caller, uid: 1 }] }, { namespace: 'other' }))).toEqual([]);
  });
});

describe('reloader-annotation', () => {
  const IGNORE = { annotations: { 'reloader.stakater.com/ignore': 'true' } };
  const reloaded = (...others: object[]) =>
    changed(
      (planted) => {
        planted.annotations['reloader.stakater.com/auto'] = 'true' as never;
      },
      ...others,
    );
  const external = (metadata: object) => ({
    spec: {
      refreshInterval: '1h',
      target: { deletionPolicy: 'Merge', template: { metadata } },
    },
  });

  it.each([
    ['nothing said of the Secrets', [], true],
    ['one Secret that it ignores, of two', [object('Secret', 'gitlab', { metadata: IGNORE })], true],
    [
      'both ignored, one by its ExternalSecret',
      [object('Secret', 'gitlab', { metadata: IGNORE }), object('ExternalSecret', MODELS, external(IGNORE))],
      false,
    ],
    [
      'an ExternalSecret that is ignored itself, and not what it writes',
      [
        object('Secret', 'gitlab', { metadata: IGNORE }),
        object('ExternalSecret', MODELS, { metadata: IGNORE, ...external({}) }),
      ],
      true,
    ],
  ])('%s', (_, others, warned) => {
    expect(rulesOf(reloaded(...others))).toEqual(warned ? ['reloader-annotation'] : []);
  });
});

describe('reloader-annotation of a Deployment', () => {
  const RELOADER = 'reloader.stakater.com';
  const AUTO = { [`${RELOADER}/auto`]: 'true' };
  const BOTH = `gitlab, ${MODELS}`;
  const carrying = (annotation: string) =>
    object('Secret', 'gitlab', { metadata: { annotations: { [`${RELOADER}/${annotation}`]: 'true' } } });

  it.each<[string, Record<string, string>, Record<string, string>, object[], string | undefined]>([
    ['auto', AUTO, {}, [], '$.metadata'],
    ['auto of the template', {}, AUTO, [], '$.spec.template.metadata'],
    ['auto on both', AUTO, AUTO, [], '$.metadata'],
    ['what hides the template', { [`${RELOADER}/auto`]: 'false' }, AUTO, [], undefined],
    ['of ConfigMaps alone', { [`configmap.${RELOADER}/auto`]: 'true' }, {}, [], undefined],
    ['all excluded', { ...AUTO, [`secrets.exclude.${RELOADER}/reload`]: BOTH }, {}, [], undefined],
    ['one excluded', { ...AUTO, [`secrets.exclude.${RELOADER}/reload`]: 'gitlab' }, {}, [], '$.metadata'],
    ['search', { [`${RELOADER}/search`]: 'true' }, {}, [], undefined],
    ['search with a match', { [`${RELOADER}/search`]: 'true' }, {}, [carrying('match')], '$.metadata'],
    ['another Secret', { [`secret.${RELOADER}/reload`]: 'gitlab-runner,git' }, {}, [], undefined],
    ['a pattern of others', { [`secret.${RELOADER}/reload`]: 'hub-.*' }, {}, [], undefined],
    [
      'the only one, ignored',
      { [`secret.${RELOADER}/reload`]: 'gitlab' },
      {},
      [carrying('ignore')],
      undefined,
    ],
  ])('%s', (_, own, ofTemplate, others, place) => {
    const { metadata, spec } = parse(pod, { version: '1.1' });
    const template = {
      metadata: { ...metadata, annotations: { ...metadata.annotations, ...ofTemplate } },
      spec,
    };
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd', namespace: 'tenant-a', annotations: own },
      spec: { template },
    };
    const text = [deployment, ...others].map((one) => JSON.stringify(one)).join('\n');
    const found = lint({ file: 'm', text, choice: {}, rules: RULES }).findings;
    expect(found.map(({ rule, path }) => [rule, `$.${path.replace(/\.annotations\..*/, '')}`])).toEqual(
      place === undefined ? [] : [['reloader-annotation', place]],
    );
  });
});

describe('service-account-token', () => {
  it('knows a token that is mounted as a Secret', () => {
    const text = (type: string) =>
      changed(
        (planted) => {
          planted.add(planted.spec, 'volumes', { name: 'legacy', secret: { secretName: 'legacy' } });
          for (const container of [planted.agent, planted.selfTest])
            planted.add(container, 'volumeMounts', { name: 'legacy', mountPath: '/t', readOnly: true });
        },
        object('Secret', 'legacy', { type }),
      );
    expect(rulesOf(text('kubernetes.io/service-account-token'))).toEqual(['service-account-token']);
    expect(rulesOf(text('Opaque'))).toEqual([]);
  });

  it.each<[string, object]>([
    ['env', { env: [{ name: 'T', valueFrom: { secretKeyRef: { name: 'legacy', key: 'token' } } }] }],
    ['envFrom', { envFrom: [{ prefix: 'T_', secretRef: { name: 'legacy' } }] }],
  ])('knows a token that the agent takes by %s', (_, fields) => {
    const text = (type: string) =>
      changed(
        (planted) => {
          Object.assign(planted.agent, fields);
        },
        object('Secret', 'legacy', { type }),
      );
    expect(rulesOf(text('kubernetes.io/service-account-token'))).toEqual(['service-account-token']);
    expect(rulesOf(text('Opaque'))).toEqual([]);
  });
});

describe('resolver-command', () => {
  const ofImage = (image: string) =>
    changed((planted) => {
      for (const container of [planted.resolver, planted.selfTest]) container.image = image as never;
    });

  it.each([
    ['registry.example/platform/msr:1', {}, true],
    ['registry.example/platform/msr:1', { image: 'registry.example/platform/msr:1' }, false],
    [IMAGE, { image: 'registry.example/platform/msr:1' }, true],
    [`mirror:5000/x/mounted-secret-resolver@sha256:${'0'.repeat(64)}`, {}, false],
    ['secret-resolver.example/busybox:1', {}, true],
  ])('%s, with %j', (image, options, refused) => {
    expect(rulesOf(ofImage(image), options)).toEqual(refused ? ['resolver-command'] : []);
  });
});

describe('what the rules allow', () => {
  it.each(ALLOWED)('$name', ({ plant: change }) => {
    expect(rulesOf(changed(change))).toEqual([]);
  });
});
