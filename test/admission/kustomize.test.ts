import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import { uninject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { requestFor } from '../manifest/support.ts';
import {
  ApiServer,
  BUILD_TIMEOUT_MS,
  describeWithApiServer,
  kustomize,
  type PodObject,
} from './api-server.ts';
import { podOf } from './table.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');

// biome-ignore lint/suspicious/noExplicitAny: manifests of any kind
type Manifest = any;

const objectsOf = (text: string) => parseAllDocuments(text).map((document) => document.toJS());

describeWithApiServer('kubectl apply -k', () => {
  let base: string;
  let envoy: string;
  beforeAll(async () => {
    base = await kustomize(join(DEPLOY, 'base'));
    envoy = await kustomize(join(DEPLOY, 'envoy'));
  }, BUILD_TIMEOUT_MS);

  const chosen = (name: string) => (name === 'base' ? base : envoy);
  const podIn = (objects: { kind: string }[]) =>
    objects.find(({ kind }) => /^(SandboxTemplate|Pod)$/.test(kind));

  it.each(['base', 'envoy'])('applies %s: clean by lint, with every key it mounts, and no RBAC', (name) => {
    const base = chosen(name);
    const { findings } = lint({ file: 'base', text: base, choice: {}, rules: RULES });
    expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
    const objects = objectsOf(base);
    for (const { kind, metadata } of objects)
      expect(Object.entries(metadata.labels ?? {}), `${kind} ${metadata.name}`).toContainEqual([
        expect.stringMatching(/^app\.kubernetes\.io\/(name|part-of)$/),
        'secret-resolver',
      ]);
    const maps = objects.filter(({ kind }) => kind === 'ConfigMap');
    const { volumes } = podOf(stringify(podIn(objects))).spec as { volumes: Manifest[] };
    const { sources } = volumes.find((volume) => volume.name === 'secret-resolver-config').projected;
    for (const { configMap } of sources) {
      const map = maps.find(({ metadata }) => metadata.name === configMap.name);
      for (const { key } of configMap.items) expect(map.data).toHaveProperty([key]);
    }
    expect(objects.filter(({ kind }) => /Role|ServiceAccount/.test(kind))).toEqual([]);
  });

  it.each(['base', 'envoy'])(
    'applies policies that admit the pods of %s, injected before or by them',
    async (name) => {
      const base = chosen(name);
      const inCluster = objectsOf(base).filter(({ kind }) => ['Namespace', 'ConfigMap'].includes(kind));
      const policies = await kustomize(join(DEPLOY, 'policies'));
      using server = await ApiServer.start([policies, ...inCluster.map((object) => stringify(object))]);
      expect(server.problems).toEqual([]);
      const template = stringify(podIn(objectsOf(base)));
      for (const text of [template, uninject(requestFor(template)).text]) {
        const { metadata, ...rest } = podOf(text, 'agents');
        const labels = { ...metadata.labels, 'secret-resolver/inject': 'true' };
        const pod = { ...rest, metadata: { ...metadata, labels } };
        const { denied, invalid, object } = await server.request(pod);
        expect(denied ?? invalid).toBeUndefined();
        expect(JSON.stringify(object)).toContain('"secret-resolver-self-test"');
      }
    },
    BUILD_TIMEOUT_MS,
  );

  it(
    "injects the supervisor's own pod of OpenShell 0.1.x, by its label, without a self-test",
    async () => {
      const policies = await kustomize(join(DEPLOY, 'openshell/supervisor-pods'));
      const inCluster = objectsOf(base).filter(({ kind }) => ['Namespace', 'ConfigMap'].includes(kind));
      using server = await ApiServer.start([policies, ...inCluster.map((object) => stringify(object))]);
      expect(server.problems).toEqual([]);
      const supervisor = (container: object): PodObject => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name: 'os-supervisor-x',
          namespace: 'agents',
          labels: { 'openshell.ai/component': 'supervisor' },
        },
        spec: {
          automountServiceAccountToken: false,
          containers: [{ image: 'x', securityContext: { runAsUser: 1000 }, ...container }],
        },
      });
      const { denied, invalid, object } = await server.request(supervisor({ name: 'supervisor' }));
      expect(denied ?? invalid).toBeUndefined();
      expect(object?.spec.initContainers).toMatchObject([{ name: 'secret-resolver' }]);
      const strange = await server.request(supervisor({ name: 'proxy' }));
      expect(strange.denied).toContain('there is no supervisor');
    },
    BUILD_TIMEOUT_MS,
  );

  it('puts the component into the namespace of an overlay', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'overlay-'));
    try {
      writeFileSync(
        join(folder, 'kustomization.yaml'),
        stringify({ namespace: 'my-agents', components: [relative(folder, join(DEPLOY, 'component'))] }),
      );
      const namespaces = objectsOf(await kustomize(folder)).map(({ metadata }) => metadata.namespace);
      expect(namespaces.length).toBeGreaterThanOrEqual(5);
      expect(new Set(namespaces)).toEqual(new Set(['my-agents']));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
