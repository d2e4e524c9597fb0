/** The overlay of deploy/openshell/helm on a chart of our own of the same shape, by the real helm and the real kustomize. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import { lint } from '../../src/manifest/lint.ts';
import { BUILD_TIMEOUT_MS, buildGo, KUSTOMIZE } from '../admission/api-server.ts';
import { runInProcess } from '../support/in-process.ts';
import { find } from '../support/podman.ts';
import { describeIf } from '../support/root.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy/openshell');
const NAMESPACE = `apiVersion: v1
kind: Namespace
metadata: {name: openshell, labels: {secret-resolver/annotated-roles: "true"}}
`;

interface Container {
  readonly name: string;
  readonly volumeMounts: readonly { readonly name: string }[];
}

describeIf(
  'the overlay of the chart',
  find('go') === undefined ? 'install Go; helm is built with it' : undefined,
  () => {
    let helm: string;
    let kustomize: string;
    let folder: string;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'helm-'));
      [helm, kustomize] = await Promise.all([
        buildGo('helm.sh/helm/v3/cmd/helm', 'helm', import.meta.dirname),
        buildGo(...KUSTOMIZE),
      ]);
    }, BUILD_TIMEOUT_MS);
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    async function render(...sets: readonly string[]) {
      const { exitCode, stdout, stderr } = await execa(
        helm,
        [
          'template',
          'openshell',
          join(import.meta.dirname, 'chart'),
          '--namespace=openshell',
          `--post-renderer=${join(DEPLOY, 'helm/post-renderer.sh')}`,
          ...sets.map((set) => `--set=${set}`),
        ],
        { env: { KUSTOMIZE: `${kustomize} build`, HOME: folder }, reject: false },
      );
      const objects = parseAllDocuments(stdout).map((document) => document.toJS());
      const ofKind = (...kinds: readonly string[]) => objects.find(({ kind }) => kinds.includes(kind));
      return { exitCode, stdout, stderr, objects, ofKind };
    }

    it.each(['StatefulSet', 'Deployment'])('gives a %s the driver of gateway-driver.yaml', async (kind) => {
      const { objects, stderr, ofKind } = await render(`kind=${kind}`);
      expect(stderr).toBe('');
      const plain = parseAllDocuments(readFileSync(join(DEPLOY, 'gateway-driver.yaml'), 'utf8'), {
        version: '1.1',
      })
        .map((document) => document.toJS())
        .find((object) => object.kind === 'Deployment').spec.template.spec;
      const { spec } = ofKind(kind).spec.template;
      expect(spec.initContainers).toEqual(plain.initContainers);
      expect(spec.volumes).toEqual(expect.arrayContaining(plain.volumes));
      expect(spec.automountServiceAccountToken).toBe(false);
      expect(spec.containers).toHaveLength(1);
      const mounts = (spec.containers as Container[]).flatMap(({ volumeMounts }) => volumeMounts);
      expect(mounts.map(({ name }) => name).sort()).toEqual([
        'gateway-config',
        'gateway-token',
        'secret-resolver-socket',
      ]);
      // As they are stored: helm leaves the namespace to the API.
      const stored = objects.map((each) =>
        stringify({ ...each, metadata: { namespace: 'openshell', ...each.metadata } }),
      );
      const text = [NAMESPACE, ...stored].join('---\n');
      const { findings } = lint({ file: 'rendered', text, choice: {}, rules: RULES });
      expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
    });

    it('has a gateway.toml and a configuration in which openshell doctor finds nothing', async () => {
      const rendered = join(folder, 'rendered.yaml');
      writeFileSync(rendered, (await render()).stdout);
      cpSync(join(DEPLOY, 'helm/config.yaml'), join(folder, 'config.yaml'));
      mkdirSync(join(folder, 'providers'));
      const doctor = [
        'openshell',
        'doctor',
        '-c',
        join(folder, 'config.yaml'),
        '-g',
        rendered,
        '--no-socket',
      ];
      const provider = '--workspace team-a --type gitlab --credential GITLAB_TOKEN=secret-resolver://gitlab';
      const { stdout } = await runInProcess(...doctor, ...provider.split(' '));
      expect(stdout).toContain('0 errors, 2 warnings\n');
    });

    it('mounts each Secret that its configuration names, and its ConfigMap is that file', async () => {
      const { objects, ofKind } = await render();
      const config = readFileSync(join(DEPLOY, 'helm/config.yaml'), 'utf8');
      const map = objects.find(({ metadata }) => metadata.name === 'secret-resolver-gateway-driver');
      expect(map.data).toEqual({ 'config.yaml': config });
      const { gatewayDriver } = parse(config);
      const named = [
        gatewayDriver.handleKey.name,
        ...gatewayDriver.workspaces.flatMap(({ names }: { names: Record<string, { name: string }> }) =>
          Object.values(names).map(({ name }) => name),
        ),
      ];
      const { volumes } = ofKind('StatefulSet').spec.template.spec;
      const mounted = volumes.flatMap(
        ({ secret }: { secret?: { secretName: string } }) => secret?.secretName ?? [],
      );
      expect(mounted.sort()).toEqual(named.sort());
    });

    it.each([
      ['a driver of the chart', 'driver=vault', 'the chart names a credential driver already'],
      [
        'another container',
        'container=gateway',
        'the chart has 0 containers openshell-gateway; expected one',
      ],
      [
        'another label',
        'name=other',
        'no StatefulSet or Deployment has the label app.kubernetes.io/name: openshell',
      ],
    ])('refuses %s', async (_, set, complaint) => {
      const { exitCode, stdout, stderr } = await render(set);
      expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
      expect(stderr).toContain(complaint);
    });
  },
);
