/** What lint reads: every file it is given, every kind that holds a pod, and text as the API server understands it. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import { inject, uninject } from '../../src/manifest/inject.ts';
import { lint, lintAll } from '../../src/manifest/lint.ts';
import { sarifReport, textReport } from '../../src/manifest/report.ts';
import { cli } from '../support/cli.ts';
import { readInput, requestFor } from './support.ts';

const OPTIONS = { choice: {}, rules: RULES };
const good = inject(requestFor(readInput('pod.yaml'))).text;
const bad = good.replace('spec:\n', 'spec:\n  hostPID: true\n');
const pod = parse(bad, { version: '1.1' });

const read = (text: string) => lintAll([{ file: 'm.yaml', text }], OPTIONS);
const errorsOf = (text: string) => read(text).errors;

describe('several files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'secret-resolver-lint-'));
  const path = (name: string) => join(folder, name);
  beforeAll(() => {
    mkdirSync(path('apps/deep'), { recursive: true });
    mkdirSync(path('nothing'));
    writeFileSync(path('good.yaml'), good);
    writeFileSync(path('bad.json'), JSON.stringify(pod));
    writeFileSync(path('comment.yaml'), '# nothing yet\n');
    writeFileSync(path('apps/good.yml'), good);
    writeFileSync(path('apps/comment.yaml'), '# nothing yet\n');
    writeFileSync(path('apps/notes.txt'), 'not a manifest');
    writeFileSync(path('apps/deep/bad.yaml'), bad);
    writeFileSync(path('latin1.yaml'), Buffer.from('a: \xe4\n', 'latin1'));
    symlinkSync('good.yaml', path('link.yaml'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each<[string[], number, string]>([
    [['-f', 'bad.json', '-f', 'good.yaml'], 1, 'checked Pod agent-pod, Pod agent-pod: 1 errors'],
    [['-f', 'good.yaml', 'bad.json'], 1, 'bad.json:1:'],
    [['-f', 'good.yaml', '-f', 'link.yaml'], 0, 'checked Pod agent-pod, Pod agent-pod: 0 errors'],
    [['-f', 'apps'], 0, 'checked Pod agent-pod: 0 errors'],
    [['-f', 'apps', '-R'], 1, 'deep/bad.yaml:'],
    [['-f', 'good.yaml', '-f', 'comment.yaml'], 2, 'comment.yaml: has no Kubernetes object'],
    [['-f', 'nothing'], 2, 'has no file that ends in .yaml, .yml or .json (-R looks into its folders)'],
    [['-f', 'good.yaml', '-f', 'missing.yaml'], 2, 'missing.yaml: cannot be read: ENOENT'],
    [['-f', 'latin1.yaml'], 2, 'is not UTF-8 text'],
  ])('%j: exit %i', async (words, code, message) => {
    const args = words.map((word) => (word.startsWith('-') ? word : path(word)));
    const result = await cli(['lint', ...args]);
    expect(result.code).toBe(code);
    expect(result.stdout + result.stderr).toContain(message);
  });

  it('an empty stream is exit 2 in each format', async () => {
    for (const format of ['table', 'json', 'sarif']) {
      for (const input of ['', '# only a comment\n---\n', 'apiVersion: v1\nkind: List\nitems: []\n']) {
        const { code, stderr } = await cli(['lint', '-f', '-', '-o', format], { input });
        expect(code).toBe(2);
        expect(stderr).toContain('<stdin>: has no Kubernetes object');
      }
    }
  });

  it('a Secret of one file is checked for the pod of another', () => {
    const secret = (name: string) => ({
      file: `${name}.yaml`,
      text: `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\nimmutable: true\n`,
    });
    const { findings } = lintAll(
      [{ file: 'pod.yaml', text: good }, secret('gitlab'), secret('other')],
      OPTIONS,
    );
    expect(findings.map(({ file, rule }) => [file, rule])).toEqual([['gitlab.yaml', 'immutable-secret']]);
  });

  it('inject takes one file, and says so', async () => {
    const args = ['inject', '--uninject', '-f', path('bad.json'), '-f', path('good.yaml')];
    const result = await cli(args);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toContain('inject takes one file');
  });
});

describe('kinds', () => {
  const template = { metadata: pod.metadata, spec: pod.spec };
  const spec = { template };
  const object = (apiVersion: string, kind: string, rest: object) =>
    JSON.stringify({ apiVersion, kind, metadata: { name: 'x' }, ...rest });
  const { kind: _kind, apiVersion: _version, ...bare } = pod;

  it.each([
    ['PodList', JSON.stringify({ apiVersion: 'v1', kind: 'PodList', items: [bare] })],
    ['DeploymentList', JSON.stringify({ apiVersion: 'apps/v1', kind: 'DeploymentList', items: [{ spec }] })],
    [
      'List of lists',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'List',
        items: [{ apiVersion: 'v1', kind: 'PodList', items: [bare] }],
      }),
    ],
    ['PodTemplate', object('v1', 'PodTemplate', { template })],
    ['ReplicaSet', object('apps/v1', 'ReplicaSet', { spec })],
    ['ReplicationController', object('v1', 'ReplicationController', { spec })],
    ['Rollout', object('argoproj.io/v1alpha1', 'Rollout', { spec })],
    ['Knative Service', object('serving.knative.dev/v1', 'Service', { spec })],
    ['a StatefulSet of another group', object('apps.kruise.io/v1beta1', 'StatefulSet', { spec })],
    ['a ScaledJob', object('keda.sh/v1alpha1', 'ScaledJob', { spec: { jobTargetRef: spec } })],
    ['a RayCluster', object('ray.io/v1', 'RayCluster', { spec: { workerGroupSpecs: [{}, spec] } })],
    [
      'a pod spec under a name of its own',
      object('example.com/v1', 'Runner', { spec: { podSpec: pod.spec } }),
    ],
  ])('%s is checked', (_name, text) => {
    expect(errorsOf(text)).toEqual([]);
    const [finding, ...others] = read(text).findings.filter(({ severity }) => severity === 'error');
    expect(finding).toMatchObject({ rule: 'host-pid', path: expect.stringMatching(/\.hostPID$/) });
    expect(others).toEqual([]);
  });

  it.each([
    ['init containers alone', { spec: { initContainers: [{ name: 'secret-resolver', image: 'x' }] } }],
    ['containers by name', { spec: { overrides: { containers: { 'secret-resolver': { image: 'x' } } } } }],
    ['ephemeral containers alone', { ephemeralContainers: [{ name: 'secret-resolver', image: 'x' }] }],
    ['sidecars of a template', { spec: { sidecars: [{ name: 'secret-resolver', image: 'x' }] } }],
    ['one container', { spec: { templates: [{ container: { name: 'secret-resolver', image: 'x' } }] } }],
    ['a list of another name', { spec: { extraContainers: [{ name: 'secret-resolver', image: 'x' }] } }],
  ])('a container of ours without a pod around it, %s: not checked, which is an error', (_name, rest) => {
    const result = read(object('example.com/v1', 'Overlay', rest));
    expect(result.findings).toMatchObject([{ rule: 'not-checked', severity: 'error', object: 'Overlay x' }]);
    expect(result.findings[0]?.message).toContain('not checked');
    const log = JSON.parse(sarifReport(result, RULES, '1'));
    expect(log.runs[0].results).toMatchObject([{ ruleId: 'not-checked', level: 'error' }]);
    expect(result.findings).toHaveLength(1);
    expect(textReport(result, false)).toContain('[not-checked]');
  });

  it.each([
    [
      'a Rollout that refers to a Deployment',
      object('argoproj.io/v1alpha1', 'Rollout', { spec: { workloadRef: { name: 'y' } } }),
    ],
    [
      'metrics of a pod',
      object('metrics.k8s.io/v1beta1', 'PodMetrics', {
        containers: [{ name: 'secret-resolver', usage: {} }],
      }),
    ],
    [
      'the status of a pod',
      object('example.com/v1', 'PodReport', {
        status: { containerStatuses: [{ name: 'secret-resolver', image: 'x', imageID: 'y' }] },
      }),
    ],
    ['a name', object('example.com/v1', 'Chart', { metadata: { name: 'secret-resolver' } })],
  ])('%s holds no pod', (_name, text) => {
    expect(read(text)).toMatchObject({ findings: [], errors: [], passed: [] });
  });

  it.each(['extensions/v1beta1', 'apps/v1beta2', 'apps/v2', 'v1', 'Apps/v1'])(
    'a Deployment of %s: names the apiVersion',
    (version) => {
      expect(errorsOf(object(version, 'Deployment', { spec }))).toMatchObject([
        {
          field: 'apiVersion',
          message: 'Deployment x has an apiVersion that is not supported',
          hint: 'write apps/v1',
        },
      ]);
    },
  );

  it.each([
    [object('apps/v1', 'Pod', { spec: pod.spec }), 'apiVersion', 'write v1'],
    [object('apps/v1', 'CronJob', { spec: { jobTemplate: { spec } } }), 'apiVersion', 'write batch/v1'],
    [object('v1', 'deployment', { spec }), 'apiVersion', 'write apps/v1'],
    [object('apps/v1', 'deployment', { spec }), 'kind', 'write Deployment'],
    [
      object('agents.x-k8s.io/v1beta1', 'SandboxTemplate', { spec: { podTemplate: template } }),
      'apiVersion',
      'write extensions.agents.x-k8s.io/v1beta1',
    ],
  ])('a kind with the group or the letters of another: says so, %#', (text, field, hint) => {
    expect(errorsOf(text)).toMatchObject([{ field, hint }]);
    expect(() => inject(requestFor(text))).toThrow(`has a${field === 'kind' ? '' : 'n'} ${field} that is`);
  });

  it.each([
    ['taken out', (spec: typeof pod.spec) => ({ ...spec, initContainers: [] })],
    [
      'renamed',
      (spec: typeof pod.spec) => JSON.parse(JSON.stringify(spec).replace('"secret-resolver"', '"other"')),
    ],
  ])('an injected pod whose resolver was %s', (_name, change) => {
    const list = { kind: 'PodList', apiVersion: 'v1', items: [{ ...bare, spec: change(pod.spec) }] };
    expect(read(JSON.stringify(list)).findings).toMatchObject([
      {
        rule: 'resolver-missing',
        severity: 'error',
        path: 'items[0].metadata.annotations.secret-resolver/injected',
      },
    ]);
    const bareTemplate = object('apps/v1', 'Deployment', { spec: { template: { spec: pod.spec } } });
    expect(read(bareTemplate).findings.map(({ rule }) => rule)).not.toContain('resolver-missing');
  });

  it.each([
    ['the Secret of another name', '  externalSecretName: gitlab\n', 'metadata: {name: fleet}'],
    ['no name of its own', '', 'metadata: {name: gitlab}'],
    ['the target', '', 'metadata: {name: fleet}'],
  ])('ClusterExternalSecret as ExternalSecret: %s', (name, external, metadata) => {
    const target = name === 'the target' ? 'name: gitlab, ' : '';
    const text = `apiVersion: external-secrets.io/v1\nkind: ClusterExternalSecret\n${metadata}\nspec:\n${external}  externalSecretSpec:\n    refreshPolicy: CreatedOnce\n    target: {${target}immutable: true, deletionPolicy: Retain}\n`;
    const { findings, checked } = read(`${good}---\n${text}`);
    expect(findings.map(({ rule, path }) => [rule, path])).toEqual([
      ['external-secret-refresh', 'spec.externalSecretSpec.refreshPolicy'],
      ['immutable-secret', 'spec.externalSecretSpec.target.immutable'],
      ['external-secret-deletion', 'spec.externalSecretSpec.target.deletionPolicy'],
    ]);
    expect(checked[1]).toMatch(/^ClusterExternalSecret /);
  });

  it.each([
    ['its UID', { securityContext: { runAsUser: 10771 } }, 'resolver-uid-shared'],
    [
      'a capability',
      { securityContext: { runAsUser: 3000, capabilities: { add: ['SYS_PTRACE'] } } },
      'capability',
    ],
    [
      'the Secret',
      { volumeMounts: [{ name: 'secret-resolver-secret-gitlab', mountPath: '/s' }] },
      'secret-mounted-elsewhere',
    ],
    [
      'the socket',
      { volumeMounts: [{ name: 'secret-resolver-socket', mountPath: '/s' }] },
      'socket-writable',
    ],
  ])('an ephemeral container with %s', (_name, container, rule) => {
    const debugged = { ...parse(good, { version: '1.1' }) };
    debugged.spec.ephemeralContainers = [{ name: 'debugger', image: 'busybox', ...container }];
    const found = read(JSON.stringify(debugged)).findings.find((finding) => finding.rule === rule);
    expect(found?.path).toMatch(/^spec\.ephemeralContainers\[0\]/);
  });
});

describe('text that another reader would understand otherwise', () => {
  const secretVolume = 'secretName: gitlab\n';
  const named = (value: string) => good.replace(secretVolume, `secretName: ${value}\n`);

  it.each([
    ['a Secret named like a date', named('2024-01-01'), 'is a date, not text'],
    ['a Secret named like a number', named('0123'), 'is a number, not text'],
    ['a Secret named yes', named('yes'), 'is true or false, not text'],
    ['a Secret name that is a list', named('[a]'), 'is a list, not text'],
    ['a UID in quotes', good.replace('runAsUser: 1337', 'runAsUser: "1337"'), 'is text, not a number'],
    ['an octal of YAML 1.2', good.replace('defaultMode: 292', 'defaultMode: 0o444'), 'is text, not a number'],
    ['a flag in quotes', good.replace('optional: false', 'optional: "false"'), 'is text, not true or false'],
    ['a number in an argument', good.replace("- '10771'", '- 10771'), 'is a number, not text'],
    ['a label that is a flag', good.replace('{app: agent', '{app: on'), 'is true or false, not text'],
  ])('%s: an error with its place, not quoted', (_name, text, message) => {
    expect(text).not.toBe(good);
    const [issue, ...others] = errorsOf(text);
    expect(others.filter((other) => other.message !== message)).toEqual([]);
    expect(issue).toMatchObject({ message, line: expect.any(Number) });
    expect(issue?.line).toBeGreaterThan(1);
    expect(JSON.stringify(issue)).not.toMatch(/2024|0123|1337|10771/);
  });

  it.each([
    ['name', 'name: agent-pod', `name: \${TOKEN_VALUE}`, 'is not a name'],
    ['name', 'name: agent-pod', 'name: "{{ .Values.TOKEN_VALUE }}"', 'is not a name'],
    ['name', 'name: agent-pod', 'name: <%= TOKEN_VALUE %>', 'is not a name'],
    ['namespace', 'namespace: tenant-a', `namespace: \${TOKEN_VALUE}`, 'is not a Kubernetes namespace'],
    ['namespace', 'namespace: tenant-a', 'namespace: <TOKEN_VALUE>', 'is not a Kubernetes namespace'],
    ['namespace', 'namespace: tenant-a', 'namespace: Tenant_A', 'is not a Kubernetes namespace'],
  ])('a template that nobody rendered in a %s, %#', (field, from, to, message) => {
    for (const end of ['\n', '\r\n']) {
      const text = good.replace(from, to).replaceAll('\n', end);
      const issue = { field: `metadata.${field}`, message, line: expect.any(Number) };
      expect(errorsOf(text)).toMatchObject([issue]);
      expect(JSON.stringify(errorsOf(text))).not.toContain('TOKEN_VALUE');
      const bareText = readInput('pod.yaml').replace(from, to).replaceAll('\n', end);
      expect(() => inject(requestFor(bareText))).toThrow(message);
    }
  });

  it('reads 12:30 as text, as kubectl does', () => {
    expect(errorsOf(good.replace('{app: agent', '{app: 12:30:45'))).toEqual([]);
  });

  it.each([
    ['!!binary', named('!!binary Z2l0bGFi'), 'has a YAML tag'],
    ['a tag of its own', named('!vault gitlab'), 'has a YAML tag'],
    ['a date by tag', named('!!timestamp 2024-01-01'), 'has a YAML tag'],
    [
      'a map as a key',
      good.replace('name: agent-pod', 'name: {{ .Values.token_value }}'),
      'a key must be text',
    ],
    ['a list as a key', `${good}? [token_value]\n: x\n`, 'a key must be text'],
    ['null as a key', `${good}~: token_value\n`, 'a key must be text'],
    ['another YAML version', `%YAML 1.2\n---\n${good}`, 'the %YAML directive'],
  ])('%s: refused, without a word of the source', async (_name, input, message) => {
    const { code, stdout, stderr } = await cli(['lint', '-f', '-'], { input });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr + stdout).not.toMatch(/token_value|Z2l0bGFi|Warning/);
    expect(stderr).toMatch(/<stdin>:\d+:\d+: /);
  });

  it.each([
    ['one behind the other', [JSON.stringify(pod), JSON.stringify(pod)].join('')],
    ['on lines of their own', [JSON.stringify(pod, null, 2), JSON.stringify(pod)].join('\n')],
    ['with marks in strings', `{"apiVersion":"v1","kind":"Note","text":"}{\\"]"} ${JSON.stringify(pod)}`],
  ])('JSON objects %s are documents', (name, text) => {
    const { findings, errors } = read(text);
    expect(errors).toEqual([]);
    expect(findings.filter(({ rule }) => rule === 'host-pid')).toHaveLength(name.startsWith('with') ? 1 : 2);
    for (const { line, column } of findings) {
      const [start = ''] = text.split('\n').slice(line - 1);
      expect(start.slice(column - 1)).toMatch(/^"hostPID"/);
    }
  });

  it('inject works on JSON objects one behind the other, and gives the bytes back', () => {
    const bare = parse(readInput('pod.yaml'), { version: '1.1' });
    const text = `${JSON.stringify(bare)}${JSON.stringify(bare, null, 2)}\n`;
    const injected = inject(requestFor(text));
    expect(injected.done).toHaveLength(2);
    expect(lint({ file: 'm', text: injected.text, ...OPTIONS }).findings).toEqual([]);
    expect(uninject(requestFor(injected.text)).text).toBe(text);
  });

  it.each(['utf16le', 'utf16be'])(
    '%s with a byte order mark is read, and without one it is named',
    async (encoding) => {
      const bytes = Buffer.from(`\uFEFF${bad}`, 'utf16le');
      const input = encoding === 'utf16le' ? bytes : bytes.swap16();
      const result = await cli(['lint', '-f', '-'], { input });
      expect(result.code).toBe(1);
      expect(result.stdout).toContain('[host-pid]');
      const without = await cli(['lint', '-f', '-'], { input: input.subarray(2) });
      expect(without.code).toBe(2);
      expect(without.stderr).toContain('UTF-16 needs a byte order mark');
    },
  );
});
