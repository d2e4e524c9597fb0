import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  BUILD_TIMEOUT_MS,
  deployedPolicies,
  describeWithApiServer,
  kustomize,
} from '../admission/api-server.ts';
import {
  CHART,
  CLUSTER_WIDE,
  Helm,
  isTest,
  type Manifest,
  nameOf,
  objectsOf,
  type Rendered,
} from './helm.ts';
import { MATRIX } from './matrix.ts';

const DEPLOY = join(CHART, '..');

const FILES = [
  ...['.helmignore', 'Chart.yaml', 'values.schema.json', 'values.yaml'],
  ...['NOTES.txt', '_helpers.tpl', 'config.yaml', 'external-secrets.yaml', 'gateway-driver.yaml'].map(
    template,
  ),
  ...['monitoring.yaml', 'namespace.yaml', 'network-policy.yaml', 'policies.yaml'].map(template),
  ...['sandbox-template.yaml', 'tests/config.yaml'].map(template),
  ...['config.yaml', 'dashboard.json', 'external-secret.yaml', 'gateway-driver.yaml', 'namespace.yaml'].map(
    file,
  ),
  ...[
    'network-policy.yaml',
    'pod-monitor.yaml',
    'prometheus-rule.yaml',
    'providers/gitlab.yaml',
    'sandbox-template.yaml',
  ].map(file),
  ...['mutating-admission-policy', 'reserved-secrets', 'validating-admission-policy'].map(policy),
];

function template(name: string): string {
  return `templates/${name}`;
}
function file(name: string): string {
  return `files/${name}`;
}
function policy(name: string): string {
  return `files/policies/${name}.yaml`;
}

describeWithApiServer('the chart', () => {
  let helm: Helm;
  const rendered: Record<string, Rendered> = {};
  beforeAll(async () => {
    helm = await Helm.build();
    for (const [name, values] of Object.entries(MATRIX)) rendered[name] = await helm.template(values);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => {
    helm?.[Symbol.dispose]();
  });

  const objects = (name: keyof typeof MATRIX) => rendered[name]?.objects ?? [];
  const named = (all: readonly Manifest[], name: string) => all.find((object) => nameOf(object) === name);

  it(
    'renders the objects that deploy/base has',
    async () => {
      const base = objectsOf(await kustomize(join(DEPLOY, 'base')));
      const created = objects('the namespace, too').filter((object) => !isTest(object));
      expect(created.map(nameOf)).toEqual(base.map(nameOf));
      for (const [index, object] of created.entries()) expect(object, nameOf(object)).toEqual(base[index]);
      expect(objects('defaults').filter((object) => !isTest(object))).toEqual(
        base.filter(({ kind }) => kind !== 'Namespace'),
      );
    },
    BUILD_TIMEOUT_MS,
  );

  it(
    'renders the policies that kustomize applies, in both forms',
    async () => {
      expect(objects('all policies')).toEqual(objectsOf(deployedPolicies().join('---\n')));
      // kustomize writes the folded text of an expression with other line breaks.
      const words = (all: readonly Manifest[]) =>
        JSON.parse(JSON.stringify(all).replaceAll(/(\\n|\s)+/g, ' '));
      const forPods = objectsOf(await kustomize(join(DEPLOY, 'openshell/supervisor-pods')));
      const only = objects('only injection, for the supervisor pods of OpenShell');
      expect(words(only.filter(({ kind }) => CLUSTER_WIDE.test(kind)))).toEqual(
        words(forPods.filter(({ metadata }) => metadata.name === 'secret-resolver-inject')),
      );
      const actions = objects('policies that warn, without injection')
        .filter(({ kind }) => kind.endsWith('Binding'))
        .map(({ metadata, spec }) => [metadata.name, spec.validationActions]);
      expect(actions).toEqual([
        ['secret-resolver-boundary', ['Warn', 'Audit']],
        ['secret-resolver-reserved-secrets', ['Deny']],
      ]);
    },
    BUILD_TIMEOUT_MS,
  );

  it('renders the gateway driver of deploy/openshell', async () => {
    const file = objectsOf(readFileSync(join(DEPLOY, 'openshell/gateway-driver.yaml'), 'utf8'));
    const { objects: own } = await helm.template({ gatewayDriver: { enabled: true } }, 'openshell');
    const wanted = file.filter(({ kind }) => kind !== 'Namespace');
    expect(wanted.map((object) => named(own, nameOf(object)))).toEqual(wanted);
  });

  it('has no cluster-wide object unless values ask for one', () => {
    const kinds = Object.entries(MATRIX).map(([name]) => [
      name,
      objects(name).some(({ kind }) => CLUSTER_WIDE.test(kind)),
    ]);
    const asked = kinds.filter(([, wide]) => wide).map(([name]) => name);
    expect(asked).toEqual(Object.keys(MATRIX).filter((name) => /polic|namespace|injection,/.test(name)));
    expect(objects('nothing')).toEqual([]);
  });

  it('labels every object', () => {
    for (const [name, { text }] of Object.entries(rendered))
      for (const document of text.split(/^---$/m).filter((part) => /^kind:/m.test(part))) {
        const { kind, metadata } = parse(document);
        const which =
          metadata.labels['app.kubernetes.io/name'] ?? metadata.labels['app.kubernetes.io/part-of'];
        expect(which, `${name}: ${kind} ${metadata.name}`).toBe('secret-resolver');
        expect(metadata.labels['app.kubernetes.io/managed-by']).toBe('Helm');
      }
  });

  it('refuses to render a template for a configuration that it is not written for', async () => {
    const { errors, exitCode } = await helm.template({ component: { config: { agent: { uid: 2000 } } } });
    expect(exitCode).toBe(1);
    expect(errors).toContain('component.config changes agent: set sandboxTemplate.enabled to false');
    const nobody = await helm.template({ component: { config: { callers: [{ name: 'x', uid: 5 }] } } });
    expect(nobody.errors).toContain('component.config has no caller with UID 0');
  });

  it.each([
    ['an unknown value', { podMonitors: {} }, "additional properties 'podMonitors' not allowed"],
    [
      'an unknown value of a part',
      { image: { tga: 'x' } },
      "at '/image': additional properties 'tga' not allowed",
    ],
    ['a digest that is none', { image: { digest: 'sha256:1' } }, "at '/image/digest'"],
    ['an image that lint does not know', { image: { repository: 'a.example/x' } }, "at '/image/repository'"],
    [
      'a refresh that never happens',
      { externalSecrets: { refreshInterval: '0s' } },
      "at '/externalSecrets/refreshInterval'",
    ],
    [
      'an action of no policy',
      { policies: { boundary: { validationActions: ['Log'] } } },
      "at '/policies/boundary/validationActions/0'",
    ],
    [
      'a provider file that is none',
      { component: { providers: { 'a/b.yaml': {} } } },
      "invalid propertyName 'a/b.yaml'",
    ],
  ])('refuses %s', async (_, values, message) => {
    const { errors, exitCode } = await helm.template(values);
    expect(exitCode).toBe(1);
    expect(errors).toContain(message);
  });

  it('has a schema that knows every value, and a description or a default for each', () => {
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8'));
    const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
    const keys = (of: Manifest): string[] =>
      Object.keys(of)
        .filter((key) => key !== 'global')
        .sort();
    expect(keys(values)).toEqual(keys(schema.properties));
    for (const key of keys(values))
      expect(keys(values[key]), key).toEqual(keys(schema.properties[key].properties));
  });

  it('says what to do next', async () => {
    const notes = async (values: object) =>
      (
        await helm.run(
          'install',
          'r',
          CHART,
          '-n',
          'agents',
          '--dry-run=client',
          '--values',
          helm.values(values),
        )
      ).text.replace(/[\s\S]*\nNOTES:\n/, '');
    const commands = async (values: object) =>
      (await notes(values)).split('\n').filter((line) => line.startsWith('  '));
    expect(await commands({})).toEqual([
      '  helm test r -n agents',
      '  kubectl -n agents get externalsecrets',
      '  secret-resolver inject -f my-pod.yaml -c config.yaml --image registry.example/secret-resolver:0.1.0',
    ]);
    expect(await commands(MATRIX['all policies'] as object)).toHaveLength(3);
    expect(await commands(MATRIX['only the gateway driver'] as object)).toHaveLength(3);
  });

  it('is packaged with these files, the links followed', async () => {
    const version = '0.1.0';
    await helm.run('package', CHART, '--destination', helm.folder);
    const archive = join(helm.folder, `secret-resolver-${version}.tgz`);
    const { stdout } = await execa('tar', ['tf', archive]);
    expect(stdout.split('\n').sort()).toEqual(FILES.map((file) => `secret-resolver/${file}`).sort());
    const { text } = await helm.run('template', 'resolver', archive, '--namespace', 'agents');
    expect(objectsOf(text)).toEqual(objects('defaults'));
  });
});
