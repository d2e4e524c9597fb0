import { DaemonSet, Deployment, StatefulSet } from 'kubernetes-models/apps/v1';
import { CronJob, Job } from 'kubernetes-models/batch/v1';
import { Pod } from 'kubernetes-models/v1';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import { ConfigError } from '../../src/domain/errors.ts';
import { inject, uninject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { findOwnedParts } from '../../src/manifest/ownership.ts';
import { INPUTS, isSubsequence, readInput, requestFor } from './support.ts';

/** Messages of the ConfigError that `work` throws. */
function issuesOf(work: () => unknown) {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.issues;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('inject: each kind', () => {
  it.each(INPUTS)('$name: golden, twice, out again, clean', async ({ name, choice }) => {
    const input = readInput(name);
    const { text } = inject(requestFor(input, { choice }));
    await expect(text).toMatchFileSnapshot(`golden/${name}`);

    expect(inject(requestFor(text, { choice })).text).toBe(text);
    // What the first injection recorded need not be said again.
    expect(inject(requestFor(text)).text).toBe(text);
    expect(uninject(requestFor(text)).text).toBe(input);

    const { findings } = lint({ file: name, text, choice: {}, rules: RULES });
    expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
  });

  it.each(INPUTS.filter(({ name }) => name !== 'daemonset.yaml'))(
    '$name: every line of the input is in the output, in order',
    ({ name, choice }) => {
      const input = readInput(name);
      const { text } = inject(requestFor(input, { choice }));
      // Flow collections are added to within their line.
      const untouched = input.split('\n').filter((line) => text.split('\n').includes(line));
      expect(isSubsequence(untouched.join('\n'), text)).toBe(true);
      expect(input.split('\n').length - untouched.length).toBeLessThanOrEqual(3);
    },
  );

  it.each([
    ['pod.yaml', Pod],
    ['deployment.yaml', Deployment],
    ['statefulset.yaml', StatefulSet],
    ['daemonset.yaml', DaemonSet],
    ['job.yaml', Job],
    ['cronjob.yaml', CronJob],
  ])('%s: still valid by the schema of its kind', (name, Model) => {
    const { text } = inject(requestFor(readInput(name)));
    const objects = parseAllDocuments(text, { version: '1.1' }).map((document) => document.toJS());
    const object = objects.find(({ kind }) => kind === Model.kind);
    new Model(withoutNulls(object) as never).validate();
  });

  it('keeps CRLF line endings and a missing newline at the end', () => {
    const input = readInput('pod.yaml').trimEnd().replaceAll('\n', '\r\n');
    const { text } = inject(requestFor(input));
    expect(text.replaceAll('\r\n', '')).not.toContain('\n');
    expect(text.endsWith('\n')).toBe(false);
    expect(uninject(requestFor(text)).text).toBe(input);
  });

  it.each(['labels', 'annotations'])('fills %s with nothing behind it, and empties it again', (field) => {
    const input = readInput('job.yaml').replace('    metadata:\n', `    metadata:\n      ${field}:\n`);
    const { text } = inject(requestFor(input));
    expect(text).toMatch(new RegExp(`\n      ${field}:\n        secret-resolver/injected: `));
    expect(uninject(requestFor(text)).text).toBe(input);
  });

  it('keeps a byte order mark', () => {
    const input = `\uFEFF${readInput('sandbox.yaml').replace(/^#.*\n/, '')}`;
    const { text } = inject(requestFor(input));
    expect(text.startsWith('\uFEFFapiVersion')).toBe(true);
    expect(uninject(requestFor(text)).text).toBe(input);
  });
});

/** The API server drops fields that are null before it looks at the schema. */
function withoutNulls(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, part) => (part === null ? undefined : part));
}

describe('inject: what is added', () => {
  const pod = parseAllDocuments(inject(requestFor(readInput('sandbox.yaml'))).text)[0]?.toJS().spec
    .podTemplate.spec as {
    initContainers: Record<string, never>[];
    containers: { name: string; volumeMounts: { name: string; readOnly?: boolean }[] }[];
    volumes: { name: string; secret?: { defaultMode: number; optional: boolean } }[];
  };

  it('appends the sidecar behind every init container, and the self-test last', () => {
    expect(pod.initContainers.map(({ name }) => name)).toEqual([
      'prepare',
      'secret-resolver',
      'secret-resolver-self-test',
    ]);
  });

  it('runs the self-test with the security context and the mounts of the agent', () => {
    const [agent] = pod.containers as unknown as Record<string, unknown>[];
    const probe = pod.initContainers[2] as unknown as Record<string, unknown>;
    expect(probe.securityContext).toEqual(agent?.securityContext);
    expect(probe.volumeMounts).toEqual(agent?.volumeMounts);
  });

  it("lets the self-test pass over a Secret that is the agent's own, and never over one that the resolver serves", () => {
    const served = 'leak';
    const input = stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'agent-pod', namespace: 'tenant-a' },
      spec: {
        containers: [
          {
            name: 'agent',
            image: 'registry.example/agent:1',
            securityContext: { runAsUser: 1000, runAsGroup: 1000 },
            volumeMounts: [
              { name: 'own', mountPath: '/own' },
              { name: served, mountPath: '/leak' },
              { name: 'mixed', mountPath: '/mixed' },
            ],
          },
          {
            name: 'supervisor',
            image: 'registry.example/proxy:1',
            securityContext: { runAsUser: 1337, runAsGroup: 1337 },
          },
        ],
        volumes: [
          { name: 'own', secret: { secretName: 'for-the-agent' } },
          { name: served, secret: { secretName: 'gitlab' } },
          {
            name: 'mixed',
            projected: {
              sources: [{ secret: { name: 'for-the-agent' } }, { secret: { name: 'gitlab' } }],
            },
          },
        ],
      },
    });
    const { spec } = parse(inject(requestFor(input)).text);
    const { args } = spec.initContainers.at(-1);
    expect(args.filter((_: string, at: number) => args[at - 1] === '--allow-mount')).toEqual(['/own']);
  });

  it('mounts Secrets in the resolver alone, readable by the modes that fsGroup makes', () => {
    const secrets = pod.volumes.filter(({ secret }) => secret !== undefined);
    expect(secrets.map(({ secret }) => secret?.defaultMode)).toEqual([0o440, 0o440]);
    expect(secrets.every(({ secret }) => secret?.optional === false)).toBe(true);
    const names = secrets.map(({ name }) => name);
    for (const container of pod.containers) {
      expect(container.volumeMounts.filter(({ name }) => names.includes(name))).toEqual([]);
    }
    const deployment = parseAllDocuments(inject(requestFor(readInput('deployment.yaml'))).text)[1]?.toJS();
    expect(deployment.spec.template.spec.volumes[2].secret.defaultMode).toBe(0o444);
  });

  it('gives volumes names that Kubernetes takes', () => {
    for (const { name } of pod.volumes) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
  });

  it('mounts the socket read-only in the supervisor and nowhere in the agent', () => {
    const mounts = (container: string) =>
      pod.containers
        .find(({ name }) => name === container)
        ?.volumeMounts.filter(({ name }) => name === 'secret-resolver-socket');
    expect(mounts('agent')).toEqual([]);
    expect(mounts('openshell-supervisor-network')).toEqual([
      { name: 'secret-resolver-socket', mountPath: '/run/secret-resolver', readOnly: true },
    ]);
  });
});

describe('inject: a later version', () => {
  it('updates what an earlier one injected and nothing else', () => {
    const input = readInput('sandbox.yaml');
    const old = inject(
      requestFor(input, { version: '0.0.1', settings: { ...requestFor('').settings, image: 'old' } }),
    );
    const updated = inject(requestFor(old.text));
    expect(updated.text).toBe(inject(requestFor(input)).text);
  });

  it('refuses to overwrite what was changed by hand, unless told to', () => {
    const { text } = inject(requestFor(readInput('pod.yaml')));
    const edited = text.replace('memory: 96Mi', 'memory: 97Mi');
    expect(issuesOf(() => inject(requestFor(edited)))[0]).toMatchObject({
      message: 'what was injected has been changed since',
      hint: expect.stringContaining('--replace-edited'),
    });
    expect(inject(requestFor(edited, { replaceEdited: true })).text).toBe(text);
  });

  it('moves the sidecar behind an init container that was added since', () => {
    const { text } = inject(requestFor(readInput('job.yaml')));
    const edited = text.replace(
      '      initContainers:\n',
      '      initContainers:\n      - {name: late, image: x, securityContext: {runAsUser: 2000}}\n',
    );
    expect(edited).not.toBe(text);
    const again = inject(requestFor(edited)).text;
    expect(again).toMatch(/name: late[\s\S]*name: secret-resolver\n/);
    // The list is no longer ours alone, so taking the injection out leaves it.
    expect(uninject(requestFor(again)).text).toContain('- {name: late');
  });
});

describe('inject: bad input', () => {
  const job = readInput('job.yaml');
  it.each([
    ['broken YAML', 'a: [1, 2', 'not valid YAML', 1],
    ['a field twice', 'apiVersion: v1\nkind: Pod\nkind: Pod\n', 'duplicate field', 3],
    ['no Kubernetes object', 'just: text\n', 'is not a Kubernetes object', 1],
    [
      'no pod template',
      'apiVersion: v1\nkind: Service\n',
      'has no pod template to inject into; it has v1 Service',
      0,
    ],
    ['nothing', '# empty\n', 'is empty', 0],
    [
      'a version that is not known',
      'apiVersion: agents.x-k8s.io/v1alpha1\nkind: Sandbox\n',
      'has an apiVersion that is not supported',
      1,
    ],
    [
      'no containers',
      'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {}\n',
      'Pod x has no list of containers',
      4,
    ],
    [
      'no agent',
      job.replace('name: agent', 'name: somebody'),
      'no agent found among the containers somebody, supervisor',
      12,
    ],
    ['no supervisor', job.replace('name: supervisor', 'name: nobody'), 'no supervisor found', 12],
    [
      'two supervisors',
      `${job}      - {name: openshell-supervisor-network, securityContext: {runAsUser: 0}}\n`,
      'two supervisors found: openshell-supervisor-network and supervisor',
      12,
    ],
    [
      'a container of our name made by somebody else',
      job.replace(
        '      containers:',
        '      initContainers:\n      - name: secret-resolver\n        image: theirs\n      containers:',
      ),
      'has a name that inject gives',
      13,
    ],
    [
      'a volume of our name made by somebody else',
      `${job}      volumes:\n      - {name: secret-resolver-socket, emptyDir: {}}\n`,
      'has a name that inject gives',
      24,
    ],
    [
      'another agent UID than configured',
      job.replace('runAsUser: 1000', 'runAsUser: 1001'),
      'runs as UID 1001, and the boundary',
      19,
    ],
    [
      'a supervisor that nobody listed',
      job.replace('runAsUser: 1337', 'runAsUser: 1338'),
      'runs as UID 1338, and callers does not list it',
      22,
    ],
    [
      'a supervisor whose group nobody listed',
      job.replace('{runAsUser: 1337}', '{runAsUser: 0, runAsGroup: 7}'),
      'runs as UID 0 and GID 7, and callers does not list it',
      22,
    ],
    [
      'an alias where something must be added',
      job
        .replace(
          'securityContext: {runAsUser: 1337}',
          'securityContext: {runAsUser: 1337}\n        volumeMounts: *m',
        )
        .replace(
          'securityContext: {runAsUser: 1000}',
          'securityContext: {runAsUser: 1000}\n        volumeMounts: &m []',
        ),
      'is an alias',
      24,
    ],
    [
      'an anchor that another place uses',
      job.replace(
        'securityContext: {runAsUser: 1337}',
        'securityContext: {runAsUser: 1337}\n        volumeMounts: &m []\n      volumes: *m',
      ),
      'is an',
      23,
    ],
    [
      'a field that a merge key brings',
      job.replace('    spec:\n', '    spec:\n      <<: {volumes: []}\n'),
      'comes from a merge key',
      11,
    ],
    ['an explicit null', `${job}      volumes: null\n`, 'is null', 23],
    [
      'something else at the place of the socket',
      `${job}        volumeMounts: [{name: x, mountPath: /run/secret-resolver/}]\n`,
      'has something else mounted at /run/secret-resolver',
      23,
    ],
    [
      'an annotation that is not ours',
      job.replace('    metadata:\n', '    metadata: {annotations: {secret-resolver/injected: "1"}}\n'),
      'is not what inject writes',
      9,
    ],
  ])('%s', (_name, text, message, line) => {
    const issues = issuesOf(() => inject(requestFor(text)));
    expect(issues[0]?.message).toContain(message);
    expect(issues[0]?.line).toBe(line);
    expect(issues[0]?.hint).not.toBe('');
    expect(issues[0]?.file).toMatch(/input\.yaml/);
  });

  it('refuses a Secret of another namespace than the pod', () => {
    const base = requestFor('').configFor('tenant-a');
    const provider = base.providers[0];
    if (provider === undefined) throw new Error('no provider');
    const foreign = {
      ...provider,
      credentials: provider.credentials.map((credential) => ({
        ...credential,
        reference: { ...credential.reference, namespace: 'tenant-b' },
      })),
    };
    const request = requestFor(readInput('sandbox.yaml'), {
      configFor: () => ({ ...base, providers: [foreign] }),
    });
    expect(issuesOf(() => inject(request))).toEqual([
      expect.objectContaining({
        line: 4,
        message:
          'the pod is in namespace tenant-a, and a pod cannot mount the Secret tenant-b/gitlab of another namespace',
      }),
    ]);
  });

  it.each([
    ['no health port', { health: undefined }, 'health is not set'],
    [
      'a health port that the kubelet does not reach',
      { health: { listen: { host: '127.0.0.1', port: 1 } } },
      'loopback',
    ],
    [
      'providers outside the mounted folder',
      { providersDir: '/opt/providers' },
      'providersDir is /opt/providers',
    ],
    [
      'a socket without a folder of its own',
      { socket: { path: '/run/x/y.sock', mode: 0o660, gid: undefined } },
      'a volume at /run',
    ],
    [
      'a socket that the supervisor cannot connect to',
      { socket: { path: '/run/secret-resolver/socket/r.sock', mode: 0o660, gid: undefined } },
      'the supervisor openshell-supervisor-network could not connect: the socket has mode 0660 and group 10771',
    ],
    [
      'a group of the socket that the resolver does not have',
      { socket: { path: '/run/secret-resolver/socket/r.sock', mode: 0o660, gid: 4711 } },
      'socket.gid is 4711, which is not a group of the resolver',
    ],
    ['an audit file on a read-only root', { audit: { path: '/var/log/audit' } }, 'audit.path'],
    [
      'our UID among the callers',
      { callers: [{ name: 'x', uid: 10771, gid: undefined, exe: undefined, providers: [] }] },
      "a caller's UID",
    ],
  ])('%s', (_name, change, message) => {
    const config = { ...requestFor('').configFor('tenant-a'), ...change };
    const issues = issuesOf(() => inject(requestFor(readInput('sandbox.yaml'), { configFor: () => config })));
    expect(issues.map((issue) => issue.message).join('\n')).toContain(message);
  });

  it('takes a socket whose group the supervisor has by fsGroup', () => {
    const base = requestFor('').configFor('tenant-a');
    const config = { ...base, socket: { ...base.socket, mode: 0o660, gid: 1000 } };
    const { done } = inject(requestFor(readInput('sandbox.yaml'), { configFor: () => config }));
    expect(done).toEqual(['Sandbox demo']);
  });

  it('finds every mistake of a stream in one pass, and injects nothing', () => {
    const text = [job.replace('name: agent', 'name: a'), job.replace('name: supervisor', 'name: b')].join(
      '---\n',
    );
    expect(issuesOf(() => inject(requestFor(text)))).toHaveLength(2);
  });

  it('never quotes content in an error', () => {
    const issues = issuesOf(() => inject(requestFor('token: "unfinished-and-secret\n')));
    expect(JSON.stringify(issues)).not.toContain('unfinished');
  });
});

it('takes the self-test by its former name for its own', () => {
  const input = readInput('pod.yaml');
  const { text } = inject(requestFor(input));
  const data = parse(text, { version: '1.1' });
  const former = text.replaceAll('secret-resolver-self-test', 'secret-resolver-probe');
  expect(former).not.toBe(text);
  const findings = lint({ file: 'm', text: former, choice: {}, rules: RULES }).findings;
  expect(findings.filter(({ severity }) => severity !== 'note')).toEqual([]);
  // The record of that injection has the hash of the former name.
  const { hash } = findOwnedParts(parse(former, { version: '1.1' }));
  const recorded = JSON.parse(data.metadata.annotations['secret-resolver/injected']);
  const asWritten = former.replace(recorded.hash, hash);
  expect(uninject(requestFor(asWritten)).text).toBe(input);
  expect(inject(requestFor(asWritten)).text).toBe(text);
});
