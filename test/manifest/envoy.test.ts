/** A pod for which inject adds a stock Envoy as the supervisor. */
import { Pod } from 'kubernetes-models/v1';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { RULES } from '../../src/boundary/catalogue.ts';
import type { Config } from '../../src/config/config.ts';
import { ConfigError } from '../../src/domain/errors.ts';
import { knownKeys } from '../../src/manifest/egress.ts';
import { inject, uninject } from '../../src/manifest/inject.ts';
import { lint } from '../../src/manifest/lint.ts';
import { ENVOY_ALLOWED, ENVOY_FAULTS } from './envoy-faults.ts';
import { type PodFault, plant } from './faults.ts';
import { ENVOY_INPUTS, readEnvoyInput, readInput, requestFor } from './support.ts';

const choice = { supervisors: ['envoy'] };
const input = readEnvoyInput('pod.yaml');
const good = inject(requestFor(input, { choice })).text;
const { settings, configFor } = requestFor('');

type Change = Partial<Config> | ((config: Config) => Partial<Config>);
const withConfig = (change: Change) => ({
  choice,
  configFor: (namespace: string | undefined) => {
    const config = configFor(namespace);
    return { ...config, ...(typeof change === 'function' ? change(config) : change) };
  },
});
const withEgress = (egress: Partial<Config['egress']>) =>
  withConfig((config) => ({ egress: { ...config.egress, ...egress } }));

function issuesOf(work: () => unknown): readonly { message: string; line: number }[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.issues;
    throw error;
  }
  throw new Error('nothing was refused');
}

function findingsOf(text: string, ignore: readonly string[] = []) {
  const rules = RULES.filter(({ id }) => !ignore.includes(id));
  return lint({ file: 'm.yaml', text, choice: {}, rules }).findings;
}

const planted = (fault: Pick<PodFault, 'plant'>) =>
  plant(good, [], [{ rule: '', name: '', at: /$/, ...fault }]);

describe('inject --supervisor envoy', () => {
  it.each(ENVOY_INPUTS)('$name: golden, twice, out again, clean', async ({ name, choice }) => {
    const bare = readEnvoyInput(name);
    const { text } = inject(requestFor(bare, { choice }));
    await expect(text).toMatchFileSnapshot(`golden/envoy/${name}`);
    // What the first injection recorded need not be said again.
    expect(inject(requestFor(text)).text).toBe(text);
    expect(uninject(requestFor(text)).text).toBe(bare);
    expect(findingsOf(text)).toEqual([]);
  });

  it('is valid by the schema of Kubernetes', () => {
    new Pod(parse(good)).validate();
  });

  it('starts the resolver, the egress process, Envoy, the self-test and the agent, in this order', () => {
    const { spec } = parse(good);
    const names = spec.initContainers.map(({ name }: { name: string }) => name);
    expect(names).toEqual(['secret-resolver', 'egress', 'envoy', 'secret-resolver-self-test']);
    const policies = spec.initContainers.map(({ restartPolicy }: Record<string, string>) => restartPolicy);
    expect(policies).toEqual(['Always', 'Always', 'Always', undefined]);
    expect(spec.containers).toHaveLength(1);
  });

  it('gives each container the volumes of its part and no others', () => {
    const { spec } = parse(good);
    const mounts = Object.fromEntries(
      [...spec.initContainers, ...spec.containers].map(({ name, volumeMounts }) => [
        name,
        volumeMounts.map((mount: Record<string, string>) => `${mount.name}${mount.readOnly ? ' ro' : ''}`),
      ]),
    );
    expect(mounts).toMatchObject({
      egress: [
        'secret-resolver-config ro',
        'secret-resolver-socket ro',
        'secret-resolver-egress',
        'secret-resolver-ca',
      ],
      envoy: ['secret-resolver-egress ro'],
      agent: ['secret-resolver-ca ro'],
      'secret-resolver-self-test': ['secret-resolver-ca ro'],
    });
    expect(mounts['secret-resolver']).not.toContain('secret-resolver-egress');
    expect(mounts['secret-resolver']).not.toContain('secret-resolver-ca');
  });

  it("keeps the agent's own list of hosts past the proxy, and a placeholder that it has", () => {
    const bare = readEnvoyInput('deployment.yaml');
    const { env } = parse(inject(requestFor(bare)).text).spec.template.spec.containers[0];
    const named = (wanted: string) => env.filter(({ name }: { name: string }) => name === wanted);
    expect(named('NO_PROXY')).toEqual([{ name: 'NO_PROXY', value: '.svc,localhost' }]);
    expect(named('GITLAB_TOKEN')).toHaveLength(1);
  });

  it('is taken out of a pod whose fields were sorted since, as kustomize does', () => {
    const sorted = stringify(parse(good), { sortMapEntries: true });
    expect(sorted).toMatch(/^ +- env:$/m);
    expect(parse(uninject(requestFor(sorted)).text)).toEqual(parse(input));
  });

  it('runs the egress process and Envoy as the caller of that name, or the first that is not root', () => {
    const caller = { gid: undefined, exe: undefined, providers: ['*'] };
    const uids = (...callers: { name: string; uid: number; gid?: number }[]) => {
      const config = withConfig({ callers: callers.map((each) => ({ ...caller, ...each })) });
      const { initContainers } = parse(inject(requestFor(input, config)).text).spec;
      return initContainers
        .slice(1, 3)
        .map(({ securityContext }: { securityContext: object }) => securityContext);
    };
    const root = { name: 'root', uid: 0 };
    const ids = (runAsUser: number, runAsGroup: number) =>
      Array(2).fill(expect.objectContaining({ runAsUser, runAsGroup }));
    expect(uids(root, { name: 'a', uid: 2001 }, { name: 'b', uid: 2002 })).toEqual(ids(2001, 2001));
    expect(uids(root, { name: 'a', uid: 2001 }, { name: 'egress', uid: 2002, gid: 7 })).toEqual(ids(2002, 7));
  });

  it('takes another image, and keeps it', () => {
    const image = 'registry.example/envoy@sha256:0';
    const { text } = inject(requestFor(input, { choice, settings: { ...settings, envoyImage: image } }));
    expect(parse(text).spec.initContainers[2].image).toBe(image);
    expect(inject(requestFor(text)).text).toBe(text);
  });

  it('gives way to a supervisor of the pod', () => {
    const two = readInput('pod.yaml');
    const { text } = inject(requestFor(two, { choice: { supervisors: ['envoy'] } }));
    expect(text).toContain('name: egress');
    const named = { choice: { supervisors: ['supervisor'] } };
    expect(inject(requestFor(text, named)).text).toBe(inject(requestFor(two, named)).text);
  });

  it('takes an Envoy that the pod has for what it always was: the supervisor', () => {
    const own = readInput('pod.yaml').replace('name: supervisor', 'name: envoy');
    const { text } = inject(requestFor(own, { choice }));
    expect(text).not.toContain('name: egress');
    expect(parse(text).spec.containers[1].volumeMounts.at(-1).name).toBe('secret-resolver-socket');
  });

  it.each([
    ['env', (text: string) => text.replace('http://127.0.0.1:15001', 'http://127.0.0.1:1')],
    ['a container', (text: string) => text.replace('--disable-hot-restart', '--log-level')],
  ])('refuses to overwrite %s that was changed by hand, unless told to', (_, edit) => {
    const [issue] = issuesOf(() => inject(requestFor(edit(good))));
    expect(issue?.message).toBe('what was injected has been changed since');
    expect(inject(requestFor(edit(good), { replaceEdited: true })).text).toBe(good);
  });

  it.each<[string, string, Partial<ReturnType<typeof requestFor>>, RegExp]>([
    [
      'no agent',
      input.replace('  namespace', '  annotations: {secret-resolver/agent: ""}\n  namespace'),
      { choice },
      /no agent/,
    ],
    ['no caller but root', input, withConfig({ callers: [] }), /no UID for the egress process/],
    [
      'a folder below the mount of the socket',
      input,
      withEgress({ directory: '/run/secret-resolver/egress' }),
      /mounted read-only/,
    ],
    [
      'the port of another listener',
      input,
      withEgress({ listen: { host: '127.0.0.1', port: 9090 } }),
      /metrics\.listen and egress\.listen have the same port/,
    ],
    [
      'a socket that the egress process cannot open',
      input,
      withConfig((config) => ({ socket: { ...config.socket, mode: 0o660 } })),
      /the supervisor egress could not connect/,
    ],
    [
      'an agent with a proxy of its own',
      input.replace(/$/, '      env: [{name: https_proxy, value: "http://proxy.example"}]\n'),
      { choice },
      /the agent agent has https_proxy/,
    ],
    [
      'an agent with the value in its environment',
      input.replace(
        /$/,
        '      env: [{name: GITLAB_TOKEN, valueFrom: {secretKeyRef: {name: gitlab, key: token}}}]\n',
      ),
      { choice },
      /the agent agent has GITLAB_TOKEN/,
    ],
    [
      'a container with the name of ours',
      input.replace(/$/, '    - {name: egress, image: x, securityContext: {runAsUser: 1337}}\n'),
      { choice },
      /is the name of a container that --supervisor envoy adds/,
    ],
  ])('refuses %s', (_, text, changes, message) => {
    expect(issuesOf(() => inject(requestFor(text, changes))).map((issue) => issue.message)).toEqual([
      expect.stringMatching(message),
    ]);
  });
});

describe('the placeholders of the agent', () => {
  const secret = { namespace: 'a', name: 's' };
  const bulk = { secret, trim: 'none', format: new Map(), rename: new Map(), include: ['*'], exclude: [] };
  const profileCredentials = [
    { name: 'token', envVars: ['GH_TOKEN', 'GITHUB_TOKEN'], required: true },
    { name: 'other', envVars: ['OTHER'], required: false },
  ];
  const provider = { name: 'p', type: 'p', endpoints: [], profileCredentials, credentials: [] };
  const keysOf = (more: object) =>
    knownKeys({ providers: [{ ...provider, from: [{ ...bulk, ...more }] }] } as never);

  it.each<[string, object, string[]]>([
    [
      'the first name of each credential of a profile',
      { mode: 'providerProfileKeys' },
      ['GH_TOKEN', 'OTHER'],
    ],
    [
      'the one that is taken',
      { mode: 'providerProfileKeys', exclude: ['GH_*', 'OTHER', 'other'] },
      ['GITHUB_TOKEN'],
    ],
    ['nothing of a Secret that is taken as a whole', { mode: 'allKeys' }, []],
    [
      'what is named of it, under its new name',
      { mode: 'allKeys', include: ['a', 'B', 'c-*'], rename: new Map([['a', 'A']]) },
      ['A', 'B'],
    ],
    ['no name that steers programs', { mode: 'allKeys', include: ['LD_PRELOAD', 'HTTPS_PROXY', 'X'] }, ['X']],
  ])('%s', (_, more, keys) => {
    expect(keysOf(more)).toEqual(keys);
  });
});

describe('lint', () => {
  it.each(ENVOY_FAULTS)('$rule: $name', (fault) => {
    const text = planted(fault);
    const found = findingsOf(text).filter(({ rule }) => rule === fault.rule);
    expect(found.length).toBeGreaterThan(0);
    for (const finding of found) expect(finding.path).toMatch(fault.at);
    expect(findingsOf(text, [fault.rule]).filter(({ rule }) => rule === fault.rule)).toEqual([]);
  });

  it.each(ENVOY_ALLOWED)('has nothing against $name', (change) => {
    expect(findingsOf(planted(change))).toEqual([]);
  });

  it('says nothing about a container envoy that is no supervisor', () => {
    const text = readInput('pod.yaml').replace(
      /^ {2}volumes:/m,
      '    - {name: envoy, image: x, args: [--admin-address-path, /x], securityContext: {runAsUser: 3000}}\n  volumes:',
    );
    expect(findingsOf(inject(requestFor(text)).text)).toEqual([]);
  });
});
