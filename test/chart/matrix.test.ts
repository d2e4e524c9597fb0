import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { inject, uninject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { ApiServer, BUILD_TIMEOUT_MS, describeWithApiServer } from '../admission/api-server.ts';
import { podOf } from '../admission/table.ts';
import { validateObject } from '../deploy/schemas.ts';
import { requestFor } from '../manifest/support.ts';
import { pythonTool } from '../support/python-tools.ts';
import {
  CHART,
  CLUSTER_WIDE,
  Helm,
  isTest,
  type Manifest,
  nameOf,
  objectsOf,
  type Rendered,
  writeConfiguration,
} from './helm.ts';
import { CONFIGURED, MATRIX } from './matrix.ts';

const SANDBOX = {
  SECRET_RESOLVER_SANDBOX_ID: 'x',
  SECRET_RESOLVER_SANDBOX_NAME: 'x',
  SECRET_RESOLVER_SANDBOX_NAMESPACE: 'agents',
};
/** kubernetes-validate has no schemas of custom resources; validateObject has. */
const CUSTOM =
  /^WARN .* Couldn't find schema for kind (ExternalSecret|PodMonitor|PrometheusRule|SandboxTemplate) /;
/** What helm cannot create for a namespace that exists: see NOTES.txt. */
const GATEWAY_NAMESPACE = `---
apiVersion: v1
kind: Namespace
metadata: { name: agents, labels: { secret-resolver/annotated-roles: "true" } }
`;

describeWithApiServer('the chart with values of many kinds', () => {
  let helm: Helm;
  /** With the chart's policies. */
  let server: ApiServer;
  const rendered: Record<string, Rendered> = {};
  beforeAll(async () => {
    helm = await Helm.build();
    for (const [name, values] of Object.entries(MATRIX)) rendered[name] = await helm.template(values);
    const { objects } = await helm.template({ policies: { enabled: true }, namespace: { create: true } });
    const held = objects.filter(({ kind }) => kind === 'ConfigMap' || CLUSTER_WIDE.test(kind));
    server = await ApiServer.start(held.map((object) => stringify(object)));
  }, BUILD_TIMEOUT_MS);
  afterAll(() => {
    helm?.[Symbol.dispose]();
    server?.[Symbol.dispose]();
  });

  it('is valid by the published schemas', async () => {
    const files = Object.entries(rendered).flatMap(([name, { errors, exitCode, text, objects }]) => {
      expect({ name, errors, exitCode }).toEqual({ name, errors: '', exitCode: 0 });
      for (const object of objects) validateObject(object);
      const file = join(helm.folder, `${name.replaceAll(/\W/g, '-')}.yaml`);
      writeFileSync(file, text);
      return objects.length === 0 ? [] : [file];
    });
    const { exitCode, output } = await pythonTool('kubernetes-validate', ['--strict', ...files]);
    const complaints = output.split('\n').filter((line) => !/^INFO .* passed for /.test(line));
    expect(complaints.filter((line) => !CUSTOM.test(line))).toEqual([]);
    expect(exitCode).toBe(0);
  });

  it.each(Object.keys(MATRIX))('is clean by both linters: %s', async (name) => {
    const { text, objects } = rendered[name] as Rendered;
    if (objects.length > 0) {
      const stream = objects.some(({ kind }) => kind === 'Deployment') ? GATEWAY_NAMESPACE + text : text;
      const { findings } = lint({ file: name, text: stream, choice: {}, rules: RULES });
      expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
    }
    const linted = await helm.run('lint', '--strict', CHART, '--values', helm.values(MATRIX[name] ?? {}));
    expect(linted.text).toContain('1 chart(s) linted, 0 chart(s) failed');
    expect(linted.text).not.toMatch(/WARNING|ERROR/);
  });

  it.each(CONFIGURED)(
    'has a configuration that loads, and pods that the API server admits: %s',
    async (name) => {
      const { objects } = rendered[name] as Rendered;
      const config = configOf(name, objects);
      const template = objects.find(({ kind }) => kind === 'SandboxTemplate');
      if (template !== undefined) expect(template).toEqual(injected(template, config, objects));
      expect(server.problems).toEqual([]);
      const pods = objects.filter(isTest);
      if (template !== undefined) pods.push(podOf(stringify(template), 'agents'));
      for (const pod of pods) {
        const { denied, invalid } = await server.request(pod);
        expect(denied ?? invalid).toBeUndefined();
      }
    },
  );

  /** The configuration as the pod of `helm test` reads it. */
  function configOf(name: string, objects: readonly Manifest[]): Config {
    const folder = join(helm.folder, name);
    const { projected } = writeConfiguration(objects, folder);
    return loadConfig(join(folder, 'config.yaml'), SANDBOX, {
      providersDir: join(folder, 'providers'),
      ...(projected.sources.length > 1 && { profilesDir: join(folder, 'profiles') }),
    });
  }
});

const find = (objects: readonly Manifest[], name: string): Manifest =>
  objects.find((object) => nameOf(object) === name);

/** What inject makes of a template without the resolver, for this configuration and the ConfigMap of the policy. */
function injected(template: Manifest, config: Config, objects: readonly Manifest[]): Manifest {
  const base = readFileSync(join(CHART, '../base/sandbox-template.yaml'), 'utf8');
  const bare = parse(uninject(requestFor(base)).text);
  bare.metadata.name = template.metadata.name;
  delete bare.spec.podTemplate.metadata;
  const { containers, initContainers } = template.spec.podTemplate.spec;
  for (const [index, { image }] of containers.entries())
    bare.spec.podTemplate.spec.containers[index].image = image;
  const { data } = find(objects, 'ConfigMap secret-resolver-injection');
  const list = (key: string): string[] => data[key]?.split(',') ?? [];
  const { text } = inject(
    requestFor(stringify(bare), {
      configFor: () => config,
      settings: {
        ...requestFor('').settings,
        image: initContainers[0].image,
        imagePullPolicy: data.imagePullPolicy,
        imagePullSecrets: data.imagePullSecrets?.split(','),
        providerFiles: list('providerFiles'),
        profileFiles: list('profileFiles'),
      },
    }),
  );
  const [again] = objectsOf(text);
  const { metadata, spec } = again.spec.podTemplate;
  // The hash is of deploy/base; the chart drops the record from a template that differs from that.
  const { annotations } = template.spec.podTemplate.metadata;
  if (annotations === undefined) delete metadata.annotations;
  else metadata.annotations = annotations;
  const mounted = spec.volumes.flatMap(({ secret }: Manifest) => secret?.secretName ?? []);
  expect(list('secrets')).toEqual(mounted);
  return again;
}
