import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import { partOf } from '../../src/config/config.ts';
import { gatewaySlot } from '../../src/consumers/gateway-driver/settings.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { VERSION } from '../../src/domain/version.ts';
import { inject, uninject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { volumeDirectory } from '../../src/sources/index.ts';
import { requestFor } from '../manifest/support.ts';
import { ALERTS, expectExpressions, MISSING_PROMTOOL } from '../support/promtool.ts';
import { describeIf } from '../support/root.ts';
import { validateObject } from './schemas.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');

const CLUSTER_WIDE = /^(Namespace|ClusterSecretStore|(Mutating|Validating)AdmissionPolicy(Binding)?)$/;

function yamlFiles(folder: string): string[] {
  return (
    readdirSync(folder, { withFileTypes: true, recursive: true })
      // plugin.yaml is helm's, and test/chart has what it makes of the templates.
      .filter((entry) => entry.isFile() && entry.name.endsWith('.yaml') && entry.name !== 'plugin.yaml')
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((file) => !file.startsWith(join(DEPLOY, 'chart/')))
      .sort()
  );
}

const documents = yamlFiles(DEPLOY).flatMap((file) =>
  parseAllDocuments(readFileSync(file, 'utf8'), { version: '1.1' }).map((document) => ({
    file: file.slice(DEPLOY.length + 1),
    data: document.toJS(),
  })),
);
const manifests = documents.filter(
  ({ data }) => data?.apiVersion !== undefined && !/kustomize/.test(data.apiVersion),
);

describe('deploy/', () => {
  it.each(manifests.map(({ file, data }) => ({ file, kind: data.kind as string, data })))(
    '$file: $kind is valid by the schema of its version',
    ({ data }) => validateObject(data),
  );

  it.each(manifests.filter(({ data }) => !CLUSTER_WIDE.test(data.kind)))(
    '$file: $data.kind has a namespace',
    ({ data }) => {
      expect(data.metadata.namespace).toMatch(/^[a-z-]+$/);
    },
  );

  it.each(manifests)('$file: $data.kind has the labels that say whose it is', ({ data }) => {
    const { labels = {} } = data.metadata;
    const ours = data.kind === 'Namespace' ? 'app.kubernetes.io/part-of' : 'app.kubernetes.io/name';
    expect(labels[ours]).toBe('secret-resolver');
    if (data.kind !== 'Namespace') expect(labels['app.kubernetes.io/component']).toMatch(/^[a-z-]+$/);
  });

  it('has them on every ConfigMap that kustomize makes', () => {
    const made = documents.filter(({ data }) =>
      data?.configMapGenerator?.some(({ behavior = 'create' }) => behavior === 'create'),
    );
    expect(made.map(({ file }) => file)).toEqual([
      'component/kustomization.yaml',
      'openshell/helm/kustomization.yaml',
    ]);
    for (const { file, data } of made)
      expect(Object.keys(data.generatorOptions.labels ?? {}), file).toEqual([
        'app.kubernetes.io/name',
        'app.kubernetes.io/component',
      ]);
  });

  it('has manifests of every kind that the README names', () => {
    expect([...new Set(manifests.map(({ data }) => data.kind))].sort()).toEqual([
      'ClusterSecretStore',
      'ConfigMap',
      'Deployment',
      'ExternalSecret',
      'MutatingAdmissionPolicy',
      'MutatingAdmissionPolicyBinding',
      'Namespace',
      'NetworkPolicy',
      'Pod',
      'PodMonitor',
      'PrometheusRule',
      'SandboxTemplate',
      'ValidatingAdmissionPolicy',
      'ValidatingAdmissionPolicyBinding',
    ]);
  });

  it.each([
    ['base/sandbox-template.yaml', 'component'],
    ['envoy/pod.yaml', 'envoy/component'],
  ])('%s is what this version injects', (name, folder) => {
    const text = readFileSync(join(DEPLOY, name), 'utf8');
    const bare = uninject(requestFor(text)).text;
    expect(bare).not.toContain('name: secret-resolver\n');
    const config = loadConfig(
      join(DEPLOY, folder, 'config.yaml'),
      {
        SECRET_RESOLVER_SANDBOX_ID: 'x',
        SECRET_RESOLVER_SANDBOX_NAME: 'x',
        SECRET_RESOLVER_SANDBOX_NAMESPACE: 'agents',
      },
      { providersDir: join(DEPLOY, 'component/providers') },
    );
    const again = inject(
      requestFor(bare, {
        version: VERSION,
        configFor: () => config,
        settings: { ...requestFor('').settings, providerFiles: ['gitlab.yaml'], profileFiles: [] },
      }),
    );
    expect(again.text).toBe(text);
  });

  it('is clean by lint, all files in one stream', () => {
    const text = manifests.map(({ file }) => file).filter((file, index, all) => all.indexOf(file) === index);
    const stream = text.map((file) => readFileSync(join(DEPLOY, file), 'utf8')).join('---\n');
    const { findings, checked } = lint({ file: 'deploy', text: stream, choice: {}, rules: RULES });
    expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
    expect([...checked].sort()).toEqual([
      'Deployment openshell-gateway',
      'ExternalSecret gitlab',
      'Pod agent',
      'SandboxTemplate agent',
    ]);
  });

  it('mounts for the gateway driver what its configuration names, and lets its gateway in', () => {
    const [map, deployment] = documents
      .filter(({ file, data }) => file === 'openshell/gateway-driver.yaml' && data.kind !== 'Namespace')
      .map(({ data }) => data);
    const folder = mkdtempSync(join(tmpdir(), 'msr-'));
    try {
      writeFileSync(join(folder, 'config.yaml'), map.data['config.yaml']);
      mkdirSync(join(folder, 'none'));
      const config = loadConfig(join(folder, 'config.yaml'), {}, { providersDir: join(folder, 'none') });
      const driver = partOf(config, gatewaySlot);
      const { containers, initContainers, volumes } = deployment.spec.template.spec;
      const [resolver] = initContainers;
      const secrets = [
        ...(driver?.handleKeys ?? []),
        ...(driver?.workspaces ?? []).flatMap((w) => w.secrets),
      ];
      const wanted = secrets.map((secret) => volumeDirectory(config, secret));
      const mounted = resolver.volumeMounts
        .filter(({ name }: { name: string }) => volumes.find((v: { name: string }) => v.name === name).secret)
        .map(({ mountPath }: { mountPath: string }) => mountPath);
      expect(mounted.sort()).toEqual([...new Set(wanted)].sort());
      expect(driver?.callers.map(({ uid }) => uid)).toEqual([containers[0].securityContext.runAsUser]);
      expect(resolver.args).toEqual([
        'serve',
        '--config',
        '/etc/secret-resolver/config.yaml',
        '--gateway-driver',
      ]);
      const guide = readFileSync(join(DEPLOY, 'openshell/README.md'), 'utf8');
      expect(guide).toContain(`socket_path = "${driver?.socket.path}"`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each(ALERTS)('has a runbook for $alert', ({ alert, labels, annotations }) => {
    const page = /\/(docs\/runbooks\/[a-z-]+\.md)$/.exec(annotations.runbook_url)?.[1] ?? '';
    const text = readFileSync(join(DEPLOY, '..', page), 'utf8');
    expect([...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) => title)).toEqual([
      alert,
      'Symptom',
      'Cause',
      'Commands',
      'Remedy',
    ]);
    expect(['critical', 'warning', 'info']).toContain(labels.severity);
    expect(annotations.summary).toContain('{{ $labels.namespace }}/{{ $labels.pod }}');
  });

  it('has no runbook without an alert', () => {
    const pages = ALERTS.map(({ annotations }) => basename(annotations.runbook_url));
    expect(readdirSync(join(DEPLOY, '../docs/runbooks')).toSorted()).toEqual(pages.toSorted());
  });

  it('has a dashboard whose panels each ask Prometheus for a metric of ours', () => {
    const dashboard = JSON.parse(readFileSync(join(DEPLOY, 'grafana/dashboard.json'), 'utf8'));
    expect(dashboard.panels.length).toBeGreaterThanOrEqual(7);
    for (const panel of dashboard.panels) {
      expect(panel.description).not.toBe('');
      for (const { expr } of panel.targets)
        expect(expr).toMatch(/secret_resolver_[a-z_]+\{namespace=~"\$namespace"[,}]/);
    }
  });
});

describeIf('the expressions of the dashboard', MISSING_PROMTOOL, () => {
  it('are taken by Prometheus', () => {
    const { panels } = JSON.parse(readFileSync(join(DEPLOY, 'grafana/dashboard.json'), 'utf8')) as {
      panels: { targets: { expr: string }[] }[];
    };
    expectExpressions(panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)));
  });
});
