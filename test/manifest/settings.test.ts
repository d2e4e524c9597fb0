/** Options of inject for one template: resources, pull secrets, --only, and what it refuses. */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { NO_AGENT } from '../../src/config/config.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { ConfigError } from '../../src/domain/errors.ts';
import { type InjectRequest, inject, uninject } from '../../src/manifest/inject.ts';
import { cli } from '../support/cli.ts';
import { CONFIG_FILE, readInput, requestFor } from './support.ts';

const pod = readInput('pod.yaml');
const settings = (changes: Partial<InjectRequest['settings']>) => ({
  settings: { ...requestFor('').settings, ...changes },
});
const specOf = (text: string) => parse(text, { version: '1.1' }).spec;
const [RESOLVER, SELF_TEST] = [0, 1];
const resourcesOf = (text: string, container: number) => specOf(text).initContainers[container].resources;
const annotated = (annotations: Record<string, string>, changes: (object: never) => void = () => {}) => {
  const object = parse(pod, { version: '1.1' });
  object.metadata.annotations = annotations;
  changes(object as never);
  return stringify(object);
};

function issueOf(text: string, changes: Partial<InjectRequest> = {}) {
  try {
    inject(requestFor(text, changes));
  } catch (error) {
    if (error instanceof ConfigError) return error.issues[0];
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('resources', () => {
  it('have a request and a limit of all that a ResourceQuota counts', () => {
    const { text } = inject(requestFor(pod));
    for (const container of [RESOLVER, SELF_TEST]) {
      const { requests, limits } = resourcesOf(text, container);
      expect(Object.keys(requests).sort()).toEqual(['cpu', 'ephemeral-storage', 'memory']);
      expect(Object.keys(limits).sort()).toEqual(['cpu', 'ephemeral-storage', 'memory']);
    }
  });

  it('by flag, kept by a later injection without it, and the bytes come back', () => {
    const flags = settings({
      resources: 'limits.cpu=250m,requests.memory=200Mi',
      selfTestResources: 'limits.cpu=none',
      imagePullPolicy: 'Always',
      imagePullSecrets: ['registry'],
    });
    const { text } = inject(requestFor(pod, flags));
    expect(resourcesOf(text, RESOLVER)).toMatchObject({
      limits: { cpu: '250m' },
      requests: { memory: '200Mi' },
    });
    expect(resourcesOf(text, SELF_TEST).limits).not.toHaveProperty('cpu');
    expect(specOf(text).imagePullSecrets).toEqual([{ name: 'registry' }]);
    expect(inject(requestFor(text)).text).toBe(text);
    expect(uninject(requestFor(text)).text).toBe(pod);
    const changed = inject(requestFor(text, settings({ resources: 'limits.cpu=2' }))).text;
    expect(resourcesOf(changed, RESOLVER)).toMatchObject({
      limits: { cpu: '2' },
      requests: { memory: '96Mi' },
    });
    expect(specOf(changed).imagePullSecrets).toEqual([{ name: 'registry' }]);
  });

  it('by annotation, over which a flag wins', () => {
    const input = annotated({ 'secret-resolver/resources': 'limits.memory=1Gi, requests.cpu=1' });
    expect(resourcesOf(inject(requestFor(input)).text, RESOLVER)).toMatchObject({
      limits: { memory: '1Gi' },
      requests: { cpu: '1' },
    });
    const { text } = inject(requestFor(input, settings({ resources: 'limits.memory=300Mi' })));
    expect(resourcesOf(text, RESOLVER)).toMatchObject({
      limits: { memory: '300Mi' },
      requests: { cpu: '100m' },
    });
  });

  it('pull secrets of the pod stay where they are', () => {
    const input = pod.replace('spec:\n', 'spec:\n  imagePullSecrets: [{name: own}]\n');
    const { text } = inject(requestFor(input, settings({ imagePullSecrets: ['own', 'registry'] })));
    expect(specOf(text).imagePullSecrets).toEqual([{ name: 'own' }, { name: 'registry' }]);
    expect(inject(requestFor(text)).text).toBe(text);
    expect(uninject(requestFor(text)).text).toBe(input);
  });

  it.each([
    ['limits.gpu=1', 'is not a list of resources'],
    ['limits.cpu', 'is not a list of resources'],
    ['limits.memory=1Zi', 'is not a list of resources'],
    ['cpu=1', 'is not a list of resources'],
    ['requests.memory=1Gi', 'requests more memory than its limit of 256Mi'],
  ])('%s: an error at the annotation', (list, message) => {
    const issue = issueOf(annotated({ 'secret-resolver/resources': list }));
    expect(issue).toMatchObject({ message, field: 'metadata.annotations.secret-resolver/resources' });
  });

  it('a malformed flag is a mistake of the command line', async () => {
    const args = ['inject', '-f', '-', '-c', CONFIG_FILE, '--image', 'x:1', '--resources', 'cpu=1'];
    expect(await cli(args, { input: pod })).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('which objects are meant', () => {
  const database =
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: db}\nspec: {template: {spec: {containers: [{name: postgres, image: x}]}}}\n';
  const job = readInput('job.yaml').replace('generateName: once-', 'name: once');
  const stream = `${pod}---\n${database}---\n${job}`;

  it('passes by what has neither an agent nor a supervisor, and says so', () => {
    const { done, passed, text } = inject(requestFor(stream));
    expect(done).toEqual(['Pod agent-pod', 'Job once']);
    expect(passed).toEqual(['Deployment db (has neither an agent nor a supervisor)']);
    expect(text).toContain(database);
  });

  it.each([
    ['nothing but strangers', database, {}],
    ['a stranger that is named', stream, { only: ['Deployment/db'] }],
    ['half of the roles', stream.replace('name: postgres', 'name: agent'), {}],
  ])('refuses %s', (_name, text, changes) => {
    expect(issueOf(text, changes)?.message).toMatch(/found among the containers/);
  });

  it('--only: works on what is named, and leaves all else as it is, injected or not', () => {
    const { text, done, passed } = inject(requestFor(stream, { only: ['job/once'] }));
    expect(done).toEqual(['Job once']);
    expect(passed).toContain('Pod agent-pod (not named by --only)');
    expect(text.startsWith(pod)).toBe(true);
    const both = inject(requestFor(text, { only: ['Pod/agent-pod'] })).text;
    expect(both).toBe(inject(requestFor(stream)).text);
    expect(uninject(requestFor(both, { only: ['Job/once'] })).text).toBe(
      inject(requestFor(stream, { only: ['Pod/agent-pod'] })).text,
    );
    expect(issueOf(stream, { only: ['Pod/other'] })).toMatchObject({
      message: 'has no Pod/other to inject into',
      hint: 'it has Pod/agent-pod, Deployment/db, Job/once',
    });
  });

  it('an object of a kind that inject does not know is passed through with its apiVersion', () => {
    const service = JSON.stringify({
      apiVersion: 'serving.knative.dev/v1',
      kind: 'Service',
      metadata: { name: 'web' },
      spec: { template: { spec: specOf(pod) } },
    });
    const { passed } = inject(requestFor(`${pod}---\n${service}\n`));
    expect(passed).toEqual(['Service web (inject does not know serving.knative.dev/v1 Service)']);
  });
});

describe('refused, because the pod would not work', () => {
  type Changed = { spec: { containers: Record<string, unknown>[] } & Record<string, unknown> };
  const withPorts = (container: number, ports: unknown) =>
    annotated({}, (object: Changed) => {
      Object.assign(object.spec.containers[container] ?? {}, { ports });
    });

  it.each([
    [
      'the agent',
      withPorts(0, [{ containerPort: 8080 }, { containerPort: 8086 }]),
      'spec.containers[0].ports[1].containerPort',
    ],
    ['the supervisor', withPorts(1, [{ containerPort: 9090 }]), 'spec.containers[1].ports[0].containerPort'],
    [
      'what a probe asks',
      annotated({}, (object: Changed) => {
        Object.assign(object.spec.containers[0] ?? {}, { livenessProbe: { httpGet: { port: 8086 } } });
      }),
      'spec.containers[0].livenessProbe.httpGet.port',
    ],
    [
      'a native sidecar',
      annotated({}, (object: Changed) => {
        object.spec.initContainers = [
          {
            name: 'mesh',
            image: 'x',
            restartPolicy: 'Always',
            securityContext: { runAsUser: 5 },
            ports: [{ containerPort: 8086 }],
          },
        ];
      }),
      'spec.initContainers[0].ports[0].containerPort',
    ],
  ])('a port of the resolver, taken by %s: both places and the remedy', (_name, text, field) => {
    expect(issueOf(text)).toMatchObject({
      field,
      message: expect.stringMatching(
        /listens on port (8086, which is also health|9090, which is also metrics)\.listen in .*config\.yaml/,
      ),
      hint: expect.stringContaining('write another port in'),
    });
  });

  it.each([
    ['UDP', withPorts(0, [{ containerPort: 8086, protocol: 'UDP' }])],
    ['another port', withPorts(0, [{ containerPort: 8087 }])],
    ['that port of the node', withPorts(0, [{ containerPort: 80, hostPort: 8086 }])],
  ])('takes %s', (_name, text) => {
    expect(inject(requestFor(text)).done).toEqual(['Pod agent-pod']);
  });

  it.each([
    ['Vault', { 'vault.hashicorp.com/agent-inject': 'true' }],
    ['Vault, as Go reads it', { 'vault.hashicorp.com/agent-inject': '1' }],
    ['Consul', { 'consul.hashicorp.com/connect-inject': 'true' }],
    ['Bank-Vaults', { 'vault.security.banzaicloud.io/vault-addr': 'https://vault' }],
  ])('%s: a pod whose injector needs the token that inject would switch off', (_name, annotations) => {
    const [name] = Object.keys(annotations);
    const issue = issueOf(annotated(annotations));
    expect(issue?.field).toBe(`metadata.annotations.${name}`);
    expect(issue?.message).toContain("needs the pod's service account token");
  });

  it.each([
    [
      'a token of its own',
      {
        'vault.hashicorp.com/agent-inject': 'true',
        'vault.hashicorp.com/agent-service-account-token-volume-name': 'token',
      },
      '',
    ],
    ['the field written out', { 'vault.hashicorp.com/agent-inject': 'true' }, 'automountServiceAccountToken'],
    ['an injector that is switched off', { 'vault.hashicorp.com/agent-inject': 'false' }, ''],
  ])('takes a pod of Vault with %s', (_name, annotations, field) => {
    const text = annotated(annotations, (object: Changed) => {
      if (field !== '') object.spec[field] = true;
    });
    expect(specOf(inject(requestFor(text)).text).automountServiceAccountToken).toBe(field !== '');
  });

  it('tells who names a service account that no container gets its token', () => {
    for (const field of ['serviceAccountName', 'serviceAccount']) {
      const text = pod.replace('spec:\n', `spec:\n  ${field}: builder\n`);
      expect(inject(requestFor(text)).notes).toEqual([
        expect.stringContaining('no container gets the token of builder'),
      ]);
    }
    expect(inject(requestFor(pod)).notes).toEqual([]);
  });

  it.each([`\${NAMESPACE}`, 'Team-A', 'team_a'])('a namespace %s: the place in the manifest', (namespace) => {
    expect(issueOf(pod.replace('namespace: tenant-a', `namespace: '${namespace}'`))).toMatchObject({
      file: 'input.yaml',
      field: 'metadata.namespace',
      line: 6,
    });
  });

  it("OpenShell's combined topology: says what to set in the chart", () => {
    const annotations = { 'secret-resolver/agent': 'agent', 'secret-resolver/supervisors': 'agent' };
    expect(issueOf(annotated(annotations))?.hint).toContain('supervisor.topology=sidecar');
    const alone = annotated({}, (object: Changed) => {
      object.spec.containers.pop();
    });
    expect(issueOf(alone)?.hint).toContain('supervisor.topology=sidecar');
  });

  it.each([
    ['boundary.trusted', { boundary: { warn: [], trusted: [{ uid: 0, exe: '/openshell-sandbox' }] } }],
    [
      'callers',
      { callers: [{ name: 'supervisor', uid: 1337, gid: undefined, exe: '/proxy', providers: ['*'] }] },
    ],
  ])('%s with the program of another UID, which the kernel never shows', (field, changes) => {
    const config = { ...requestFor('').configFor('tenant-a'), ...changes };
    expect(issueOf(pod, { configFor: () => config })?.message).toContain(`${field}[0].exe never matches`);
  });

  it('a label that inject writes, with another value', () => {
    const text = pod.replace('{app: agent}', '{app: agent, secret-resolver/injected: "no"}');
    expect(issueOf(text)).toMatchObject({ message: 'is a label that inject writes' });
  });
});

describe("the supervisor's own pod of OpenShell 0.1.x", () => {
  const input = stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'os-supervisor-1',
      namespace: 'tenant-a',
      labels: { 'openshell.ai/component': 'supervisor' },
    },
    spec: {
      containers: [
        { name: 'supervisor', image: 'registry.example/supervisor:1', securityContext: { runAsUser: 1000 } },
      ],
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'secret-resolver-supervisor-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const configText = (agent: string) =>
    `sandbox: {id: x, name: x, namespace: tenant-a}\nprovidersDir: ${folder}/providers\nsocket: {path: /run/secret-resolver/socket/r.sock, mode: "0666"}\ncallers: [{name: supervisor, uid: 1000, providers: ["*"]}]\nhealth: {listen: "[::]:8086"}\n${agent}`;
  const load = (agent: string) => {
    mkdirSync(join(folder, 'providers'), { recursive: true });
    writeFileSync(join(folder, 'config.yaml'), configText(agent));
    return { ...loadConfig(join(folder, 'config.yaml'), {}), providersDir: '/etc/secret-resolver/providers' };
  };

  it.each([{}, { noAgent: true }])('needs no self-test and serves UID 1000: %j', (choice) => {
    const config = load('agent: {present: false}\n');
    expect(config.agent).toBe(NO_AGENT);
    const { text } = inject(requestFor(input, { choice, configFor: () => config }));
    expect(specOf(text).initContainers.map(({ name }: { name: string }) => name)).toEqual([
      'secret-resolver',
    ]);
    expect(inject(requestFor(text, { configFor: () => config })).text).toBe(text);
  });

  it('says what to write where the configuration has an agent of that UID', () => {
    expect(() => load('')).toThrow('where the pod has no agent, write agent: {present: false}');
  });

  it('a pod that has an agent keeps its self-test, whatever it is labelled', () => {
    const text = pod.replace('{app: agent}', '{openshell.ai/component: supervisor}');
    expect(inject(requestFor(text)).text).toContain('name: secret-resolver-self-test');
    const config = { ...requestFor('').configFor('tenant-a'), agent: NO_AGENT };
    expect(issueOf(text, { configFor: () => config })?.message).toContain('agent: {present: false}');
  });
});

describe('the id of the sandbox', () => {
  const variables = (spec: {
    initContainers: { env: { name: string; valueFrom?: { fieldRef: { fieldPath: string } } }[] }[];
  }) => spec.initContainers[0]?.env.map(({ name, valueFrom }) => [name, valueFrom?.fieldRef.fieldPath]);

  it('is what OpenShell annotates, and else the UID of the pod', () => {
    expect(variables(specOf(inject(requestFor(pod)).text))).toEqual([
      ['SECRET_RESOLVER_CONFIG', undefined],
      ['SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_IO', "metadata.annotations['openshell.io/sandbox-id']"],
      ['SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_AI', "metadata.annotations['openshell.ai/sandbox-id']"],
      ['SECRET_RESOLVER_SANDBOX_ID', 'metadata.uid'],
      ['SECRET_RESOLVER_SANDBOX_NAME', 'metadata.name'],
      ['SECRET_RESOLVER_SANDBOX_NAMESPACE', 'metadata.namespace'],
    ]);
  });

  it.each([
    [{ SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_IO: 'io', SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_AI: 'ai' }, 'io'],
    // An annotation that the pod does not have is an empty variable.
    [{ SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_IO: '', SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_AI: 'ai' }, 'ai'],
    [{ SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_IO: '', SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_AI: '' }, 'uid'],
    [{}, 'uid'],
  ])('%j: %s', (environment, id) => {
    const { sandbox } = loadConfig(
      CONFIG_FILE,
      {
        SECRET_RESOLVER_SANDBOX_ID: 'uid',
        SECRET_RESOLVER_SANDBOX_NAME: 'x',
        SECRET_RESOLVER_SANDBOX_NAMESPACE: 'tenant-a',
        ...environment,
      },
      { providersDir: join(CONFIG_FILE, '../providers'), profilesDir: join(CONFIG_FILE, '../profiles') },
    );
    expect(sandbox.id).toBe(id);
  });
});

describe('--in-place behind a symlink', () => {
  const folder = mkdtempSync(join(tmpdir(), 'secret-resolver-link-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'base'));
  mkdirSync(join(folder, 'overlay'));
  const real = join(folder, 'base/real.yaml');
  symlinkSync('real.yaml', join(folder, 'base/link.yaml'));
  symlinkSync('../base/link.yaml', join(folder, 'overlay/chain.yaml'));
  symlinkSync('base', join(folder, 'linked-folder'));

  it.each(['base/link.yaml', 'overlay/chain.yaml', 'linked-folder/real.yaml'])('%s', async (name) => {
    writeFileSync(real, pod, { mode: 0o640 });
    const link = join(folder, name);
    const target = lstatSync(link).isSymbolicLink() ? readlinkSync(link) : undefined;
    const args = [
      'inject',
      '-f',
      link,
      '-i',
      '-c',
      CONFIG_FILE,
      '--image',
      'registry.example/secret-resolver:0.1.0',
    ];
    expect((await cli(args)).code).toBe(0);
    if (target !== undefined) expect(readlinkSync(link)).toBe(target);
    expect(readFileSync(real, 'utf8')).toBe(inject(requestFor(pod)).text);
    expect(lstatSync(real).mode & 0o777).toBe(0o640);
  });

  it('UTF-16 stays UTF-16', async () => {
    const bytes = (text: string) => Buffer.from(`\uFEFF${text}`, 'utf16le').swap16();
    writeFileSync(real, bytes(pod));
    const args = [
      'inject',
      '-f',
      real,
      '-i',
      '-c',
      CONFIG_FILE,
      '--image',
      'registry.example/secret-resolver:0.1.0',
    ];
    expect((await cli(args)).code).toBe(0);
    expect(readFileSync(real)).toEqual(bytes(inject(requestFor(pod)).text));
    expect(parseAllDocuments(readFileSync(real).swap16().toString('utf16le'))).toHaveLength(1);
  });
});
