/** The output of `inject --supervisor envoy` in a real pod: only Envoy, the kit and the resolver between the agent and the server. */
import { createHmac, randomBytes } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { ThrowAwayAuthority } from '../../src/egress/authority.ts';
import { CA_VOLUME, EGRESS_VOLUME, SOCKET_VOLUME } from '../../src/manifest/names.ts';
import { installEnvoy } from '../interop/envoy-program.ts';
import { cli, until } from '../support/cli.ts';
import {
  importEnvoy,
  importToolbox,
  NODE_IN_IMAGE,
  RESOLVER_IMAGE,
  resolverImage,
} from '../support/images.ts';
import { describeWithPodman, find, Podman } from '../support/podman.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';
import { copyUpstream, HEALTH_PORT, METRICS_PORT, TOOLBOX } from './agent-pod.ts';
import { forPodman } from './for-podman.ts';
import { startPod } from './kubelet.ts';

const BUILD_TIMEOUT_MS = 300_000;
const ENVOY_IMAGE = 'localhost/envoy:test';
const NAME = 'behind-envoy';
const HOST = 'gitlab.example.com';
const PORT = 8443;
const UID = { agent: 1000, supervisor: 1337, upstream: 2000 };

const CONFIG = {
  socket: { mode: '0666' },
  callers: [{ name: 'egress', uid: UID.supervisor, providers: ['*'] }],
  agent: { uid: UID.agent, gid: UID.agent },
  health: { listen: `[::]:${HEALTH_PORT}` },
  metrics: { listen: `[::]:${METRICS_PORT}` },
};
const PROVIDER = {
  provider: {
    name: 'gitlab',
    type: 'custom',
    endpoints: [{ host: HOST, port: PORT }],
    credentials: { GITLAB_TOKEN: { source: { type: 'kubernetesSecret', name: 'gitlab', key: 'token' } } },
  },
};

describeWithPodman('a pod whose supervisor is a stock Envoy', () => {
  const fingerprintKey = randomBytes(16).toString('hex');
  const fingerprint = (text: string) => createHmac('sha256', fingerprintKey).update(text).digest('hex');
  const values: string[] = [];
  let podman: Podman;
  let secret: SecretVolume;
  let folder: string;

  const mount = () => {
    const token = newSecret();
    values.push(token);
    secret.write({ token });
    return token;
  };
  const log = (container: string) => podman.logs(`${NAME}-${container}`);
  /** A command line of the agent's: its user, its environment. */
  const agent = (script: string) =>
    podman.exec(`${NAME}-agent`, ['/bin/sh', '-c', script], { mayFail: true });
  const curl = async (args: string) => {
    const { stdout } = await agent(
      `curl --silent --max-time 10 --write-out ' %{http_connect} %{http_code}' ${args}`,
    );
    const [, body = '', connect = '', status] = /^([\s\S]*) (\d{3}) (\d{3})$/.exec(stdout) ?? [];
    return { body: body.trim(), connect: Number(connect), status: Number(status) };
  };
  const arrivals = async () =>
    (await log('upstream'))
      .split('\n')
      .filter((line) => line.startsWith('{"event":"arrived"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const HEADER = `--header "PRIVATE-TOKEN: $GITLAB_TOKEN" https://${HOST}:${PORT}/`;

  beforeAll(async () => {
    podman = await Podman.open();
    const authority = await ThrowAwayAuthority.create('authority of the upstream', Date.now());
    const program = await installEnvoy('1.40.0');
    await resolverImage(podman);
    await importToolbox(podman, TOOLBOX);
    await importEnvoy(podman, ENVOY_IMAGE, program, authority.certificate);

    folder = join(podman.folder, NAME);
    const config = join(folder, 'config');
    mkdirSync(join(config, 'providers'), { recursive: true });
    writeFileSync(join(config, 'config.yaml'), stringify(CONFIG));
    writeFileSync(join(config, 'providers/gitlab.yaml'), stringify(PROVIDER));
    const upstream = join(folder, 'upstream');
    mkdirSync(upstream);
    copyUpstream(upstream);
    const repositories = join(folder, 'repositories');
    await execa('git', [
      'init',
      '--quiet',
      '--bare',
      '--initial-branch=main',
      join(repositories, 'project.git'),
    ]);
    await execa('git', ['-C', join(repositories, 'project.git'), 'config', 'http.receivepack', 'true']);
    await execa('chown', ['--recursive', `${UID.upstream}:${UID.upstream}`, repositories]);
    const { key, certificate } = await authority.issue(HOST);
    writeFileSync(join(upstream, 'key.pem'), key);
    writeFileSync(join(upstream, 'certificate.pem'), certificate);
    const file = join(folder, 'pod.yaml');
    writeFileSync(file, stringify(podManifest({ upstream, repositories }, fingerprintKey)));

    secret = new SecretVolume(await podman.tmpfs('envoy-secret'));
    mount();
    const injected = await cli([
      ...['inject', '-f', file, '-c', join(config, 'config.yaml'), '--supervisor', 'envoy'],
      ...['--image', RESOLVER_IMAGE, '--envoy-image', ENVOY_IMAGE, '--image-pull-policy', 'Never'],
      // The upstream's files come from a folder of this machine: podman has no other volume for them.
      ...['--ignore', 'host-path'],
    ]);
    expect(injected.stderr).toBe('');
    expect(injected.code).toBe(0);
    const volumes = [SOCKET_VOLUME, EGRESS_VOLUME, CA_VOLUME, 'tmp'];
    const emptyDirs = new Map<string, string>();
    for (const name of volumes) emptyDirs.set(name, await podman.tmpfs(`envoy-${name}`, '0777'));
    const host = { secrets: new Map([['gitlab', secret]]), config, emptyDirs };
    const started = await startPod(podman, forPodman(injected.stdout, host), HEALTH_PORT, async () => {
      await podman.run(['start', `${NAME}-egress`]);
      const ready = [
        '/usr/local/bin/secret-resolver',
        'egress',
        '--ready',
        '--config',
        '/etc/secret-resolver/config.yaml',
      ];
      await until(
        async () => (await podman.exec(`${NAME}-egress`, ready, { mayFail: true })).exitCode === 0,
        30_000,
      );
      await podman.run(['start', `${NAME}-envoy`]);
      await podman.waitForLog(`${NAME}-envoy`, /starting main dispatch loop/);
      // What hostAliases are in Kubernetes: podman 4 does not play them.
      const format = '{{.HostsPath}}';
      const { stdout: hosts } = await podman.run([
        'container',
        'inspect',
        '--format',
        format,
        `${NAME}-envoy`,
      ]);
      appendFileSync(hosts.trim(), `127.0.0.1 ${HOST} elsewhere.example.com\n`);
    });
    if (started.exitCode !== 0)
      throw new Error(`the pod did not start: ${started.stderr}\n${await log('secret-resolver-self-test')}`);
    await podman.waitForLog(`${NAME}-upstream`, /"event":"listening"/);
  }, BUILD_TIMEOUT_MS);
  afterAll(() => podman?.[Symbol.asyncDispose](), BUILD_TIMEOUT_MS);

  it('has a proven boundary without exceptions, and a self-test that found nothing', async () => {
    expect(await log('secret-resolver')).toMatch(/"the isolation boundary is proven"/);
    expect(await podman.state(`${NAME}-secret-resolver-self-test`)).toMatchObject({ exitCode: 0 });
  });

  it('runs resolver, kit with Envoy, and agent under three UIDs', async () => {
    const uids: Record<string, string | undefined> = {};
    for (const container of ['secret-resolver', 'egress', 'envoy', 'agent']) {
      const { pid } = await podman.state(`${NAME}-${container}`);
      uids[container] = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    }
    expect(uids).toEqual({ 'secret-resolver': '10771', egress: '1337', envoy: '1337', agent: '1000' });
  });

  it.each([
    ['header', HEADER],
    ['basic', `--user "oauth2:$GITLAB_TOKEN" https://${HOST}:${PORT}/group/project.git/info/refs`],
    ['query', `--get --data-urlencode "private_token=$GITLAB_TOKEN" https://${HOST}:${PORT}/`],
  ])('carries the value to the server: %s', async (where, args) => {
    expect(await curl(args)).toEqual({ body: 'welcome', connect: 200, status: 200 });
    expect((await arrivals()).at(-1)).toMatchObject({ where, credential: fingerprint(values.at(-1) ?? '') });
  });

  it('carries it from Node, which takes proxy and CA from its environment', async () => {
    const script = `await fetch("https://${HOST}:${PORT}/", { headers: { "private-token": process.env.GITLAB_TOKEN } })`;
    const { exitCode, stderr } = await agent(`${NODE_IN_IMAGE} --input-type=module --eval '${script}'`);
    expect(exitCode, stderr).toBe(0);
    expect((await arrivals()).at(-1)).toMatchObject({ credential: fingerprint(values.at(-1) ?? '') });
  });

  it('carries it from git, Python and npm as they are', { timeout: 60_000 }, async () => {
    const before = (await arrivals()).length;
    const placeholder = encodeURIComponent('openshell:resolve:env:GITLAB_TOKEN');
    const git = 'git -c user.name=a -c user.email=a@example.com';
    const scripts = {
      git: `cd /tmp && rm -rf clone again && ${git} clone -q https://oauth2:${placeholder}@${HOST}:${PORT}/project.git clone &&
        cd clone && echo content > file && git add file && ${git} commit -qm first && git push -q origin HEAD:main &&
        cd .. && git clone -q https://oauth2:${placeholder}@${HOST}:${PORT}/project.git again && git -C again log --format=%s`,
      python: `/usr/bin/python3 -c "
import os
from pip._vendor import requests
requests.get('https://${HOST}:${PORT}/', headers={'PRIVATE-TOKEN': os.environ['GITLAB_TOKEN']}).raise_for_status()
print('first')"`,
      npm: `printf '//${HOST}:${PORT}/npm/:_authToken=\${GITLAB_TOKEN}\n' > /tmp/.npmrc &&
        ${NODE_IN_IMAGE} ${realpathSync(find('npm') ?? '')} view ours version --registry https://${HOST}:${PORT}/npm/`,
    };
    for (const [name, script] of Object.entries(scripts)) {
      const { stdout, stderr } = await agent(script);
      expect(stdout.trim(), `${name}: ${stderr}`).toBe(name === 'npm' ? '1.2.3' : 'first');
    }
    const arrived = (await arrivals()).slice(before);
    // git asks without a password first.
    const credentials = new Set(arrived.flatMap(({ credential }) => credential ?? []));
    expect([...credentials]).toEqual([fingerprint(values.at(-1) ?? '')]);
    expect(new Set(arrived.map(({ where }) => where))).toEqual(
      new Set(['nowhere', 'basic', 'header', 'bearer']),
    );
  });

  it('answers each spelling of a host that is not listed with a refusal', async () => {
    for (const host of [
      `${HOST}.`,
      `${HOST.toUpperCase()}.`,
      'gitlab.exämple.com',
      '\u212aitlab.example.com',
      '127.0.0.2',
      `${HOST}%00.example.com`,
    ]) {
      const { status } = await curl(
        `--insecure --header "PRIVATE-TOKEN: $GITLAB_TOKEN" "https://${host}:${PORT}/"`,
      );
      expect({ host, status }).toEqual({ host, status: 0 });
    }
    expect(await curl(HEADER.replace(HOST, HOST.toUpperCase()))).toMatchObject({ status: 200 });
  });

  it('lets nothing through to another server', async () => {
    const before = await arrivals();
    expect(
      await curl('--header "PRIVATE-TOKEN: $GITLAB_TOKEN" https://elsewhere.example.com/'),
    ).toMatchObject({
      connect: 403,
      status: 0,
    });
    expect(await curl(`--header "host: elsewhere.example.com" ${HEADER}`)).toMatchObject({ status: 403 });
    expect(await arrivals()).toEqual(before);
  });

  it('carries the rotated value, and none once the key is deleted', async () => {
    const token = mount();
    await until(async () => {
      expect((await curl(HEADER)).status).toBe(200);
      return (await arrivals()).at(-1)?.credential === fingerprint(token);
    }, 10_000);
    secret.write({ other: newSecret() });
    await until(async () => (await curl(HEADER)).status === 500, 10_000);
    mount();
    await until(async () => (await curl(HEADER)).status === 200, 10_000);
  });

  it('gives the agent a certificate, a proxy and placeholders, and nothing else to reach', async () => {
    const { stdout: listing } = await agent('ls -A /run');
    expect(listing.split(/\s+/).filter((name) => /resolver|sock|egress|envoy/.test(name))).toEqual([
      'secret-resolver-ca',
    ]);
    expect((await agent('ls -A /run/secret-resolver-ca')).stdout.trim()).toBe('ca.crt');
    expect((await agent('touch /run/secret-resolver-ca/x')).exitCode).not.toBe(0);
    // Everything that listens in the pod: the proxy, the resolver's two ports and the server; no admin interface.
    const { stdout } = await agent('cat /proc/net/tcp /proc/net/tcp6');
    const listening = [...stdout.matchAll(/^ *\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:0000 0A/gm)];
    const ports = new Set(listening.map(([, port = '']) => Number.parseInt(port, 16)));
    expect([...ports].sort((a, b) => a - b)).toEqual(
      [HEALTH_PORT, PORT, METRICS_PORT, 15_001].sort((a, b) => a - b),
    );
    // Sockets of the abstract namespace, which has no folders to hide them in.
    expect((await agent('cat /proc/net/unix')).stdout).not.toContain('@');
  });

  it('keeps every value out of logs, of the environment, and of what Envoy reads', async () => {
    const texts = await Promise.all(['secret-resolver', 'egress', 'envoy', 'agent', 'upstream'].map(log));
    for (const container of ['egress', 'envoy', 'agent']) {
      const { pid } = await podman.state(`${NAME}-${container}`);
      texts.push(
        readFileSync(`/proc/${pid}/environ`, 'latin1'),
        readFileSync(`/proc/${pid}/cmdline`, 'latin1'),
      );
    }
    const egress = join(podman.folder, `envoy-${EGRESS_VOLUME}`);
    for (const name of readdirSync(egress).filter((each) => each.endsWith('.yaml')))
      texts.push(readFileSync(join(egress, name), 'utf8'));
    for (const value of values) for (const text of texts) expect(text.includes(value)).toBe(false);
    expect(texts.join('')).not.toContain('PRIVATE KEY');
  });
});

function podManifest(
  { upstream, repositories }: { readonly upstream: string; readonly repositories: string },
  fingerprintKey: string,
): object {
  const securityContext = (uid: number) => ({
    runAsUser: uid,
    runAsGroup: uid,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  });
  const container = { image: TOOLBOX, imagePullPolicy: 'Never' };
  // This machine's programs, so that nobody's client is a copy of ours.
  const tools = Object.entries({ usr: '/usr', lib: '/lib', lib64: '/lib64' });
  const programs = tools.map(([name, mountPath]) => ({ name, mountPath, readOnly: true }));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: NAME, namespace: 'tenant-a' },
    spec: {
      restartPolicy: 'Never',
      containers: [
        {
          ...{ ...container, name: 'agent', command: ['/bin/sleep', '3600'] },
          env: [{ name: 'HOME', value: '/tmp' }],
          securityContext: securityContext(UID.agent),
          volumeMounts: [...programs, { name: 'tmp', mountPath: '/tmp' }],
        },
        {
          ...{ ...container, name: 'upstream' },
          command: [NODE_IN_IMAGE, '/upstream/upstream.ts', '/upstream', String(PORT)],
          env: [
            { name: 'FINGERPRINT_KEY', value: fingerprintKey },
            { name: 'REPOSITORIES', value: '/repositories' },
          ],
          securityContext: securityContext(UID.upstream),
          volumeMounts: [
            ...programs,
            { name: 'upstream', mountPath: '/upstream', readOnly: true },
            { name: 'repositories', mountPath: '/repositories' },
          ],
        },
      ],
      volumes: [
        { name: 'tmp', emptyDir: {} },
        ...Object.entries({ upstream, repositories, ...Object.fromEntries(tools) }).map(([name, path]) => ({
          name,
          hostPath: { path, type: 'Directory' },
        })),
      ],
    },
  };
}
