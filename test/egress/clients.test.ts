/** Programs that nobody changed, with the environment that inject gives the agent. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { agentVariables } from '../../src/manifest/egress.ts';
import { describeWithEnvoy } from '../interop/envoy-program.ts';
import { answerAsForge } from '../pod/forge.ts';
import { until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { EgressWorld, HOST } from './world.ts';

describeWithEnvoy('unmodified clients of an agent', () => {
  let world: EgressWorld;
  let value: string;
  let home: string;
  let env: Record<string, string>;
  /** One of them, as the agent runs it. */
  const run = (program: string, args: readonly string[], more: Record<string, string> = {}) =>
    execa(program, args, { cwd: home, env: { ...env, ...more }, extendEnv: false, timeout: 60_000 });

  beforeAll(async () => {
    world = await EgressWorld.start();
    home = join(world.workspace.root, 'home');
    mkdirSync(home);
    world.workspace.writeProvider('gitlab.yaml', {
      name: 'gitlab',
      type: 'custom',
      endpoints: [{ host: HOST, port: world.tlsPort }],
      credentials: {
        GITLAB_TOKEN: { source: { type: 'kubernetesSecret', name: 'credentials', key: 'GITLAB_TOKEN' } },
      },
    });
    value = newSecret();
    world.secret.write({ GITLAB_TOKEN: value });
    const variables = agentVariables(loadConfig(world.workspace.configFile, {}));
    env = {
      ...{ PATH: process.env.PATH ?? '', HOME: home, ...Object.fromEntries(variables) },
      // The server of this test has a name below localhost.
      ...{ NO_PROXY: '', no_proxy: '' },
    };
    const asked = () =>
      run('curl', ['--silent', '--header', 'a: openshell:resolve:env:GITLAB_TOKEN', world.url()]);
    await until(async () => (await asked()).stdout === 'ok', 20_000);
  }, 60_000);
  afterAll(async () => world?.[Symbol.asyncDispose]());
  const serveForge = () => {
    world.answer = (request, response) => {
      const body = Buffer.from(world.seen.at(-1)?.body ?? '', 'latin1');
      const origin = `https://${HOST}:${world.tlsPort}`;
      answerAsForge(request, body, response, { repositories: join(home, 'upstream'), origin });
    };
  };
  beforeEach(() => {
    world.seen.length = 0;
    world.answer = undefined;
  });

  it('curl sends the value', async () => {
    const script = 'curl --silent --fail --header "PRIVATE-TOKEN: $GITLAB_TOKEN" "$URL"';
    await run('sh', ['-c', script], { URL: world.url() });
    expect(world.seen.pop()?.headers['private-token']).toBe(value);
  });

  it("Node's fetch sends the value", async () => {
    const script = 'await fetch(process.env.URL, { headers: { "private-token": process.env.GITLAB_TOKEN } })';
    await run(process.execPath, ['--input-type=module', '--eval', script], { URL: world.url() });
    expect(world.seen.pop()?.headers['private-token']).toBe(value);
  });

  it("Python's urllib and requests send the value", async () => {
    const script = `
import os, urllib.request
from pip._vendor import requests
url, headers = os.environ["URL"], {"private-token": os.environ["GITLAB_TOKEN"]}
urllib.request.urlopen(urllib.request.Request(url, headers=headers)).read()
requests.get(url, headers=headers).raise_for_status()
requests.get(url, auth=("oauth2", os.environ["GITLAB_TOKEN"])).raise_for_status()`;
    await run('python3', ['-c', script], { URL: world.url() });
    const basic = `Basic ${Buffer.from(`oauth2:${value}`).toString('base64')}`;
    expect(world.seen.map(({ headers }) => headers['private-token'] ?? headers.authorization)).toEqual([
      value,
      value,
      basic,
    ]);
  });

  it('npm sends the value as its token', async () => {
    serveForge();
    const at = `//${HOST}:${world.tlsPort}/npm/`;
    writeFileSync(join(home, '.npmrc'), `registry=https:${at}\n${at}:_authToken=\${GITLAB_TOKEN}\n`);
    const { stdout } = await run('npm', ['view', 'ours', 'version']);
    expect(stdout).toBe('1.2.3');
    expect(world.seen[0]?.headers.authorization).toBe(`Bearer ${value}`);
  });

  it('git clones and pushes with the value as its password', { timeout: 60_000 }, async () => {
    const repository = join(home, 'upstream/project.git');
    const git = (...args: string[]) =>
      run('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.com', ...args]);
    await git('init', '--quiet', '--bare', '--initial-branch=main', repository);
    await git('-C', repository, 'config', 'http.receivepack', 'true');
    const expected = `Basic ${Buffer.from(`oauth2:${value}`).toString('base64')}`;
    serveForge();
    const login = `oauth2:${encodeURIComponent('openshell:resolve:env:GITLAB_TOKEN')}`;
    const url = `https://${login}@${HOST}:${world.tlsPort}/project.git`;
    const clone = join(home, 'clone');
    await git('clone', '--quiet', url, clone);
    writeFileSync(join(clone, 'file'), 'content\n');
    await git('-C', clone, 'add', 'file');
    await git('-C', clone, 'commit', '--quiet', '--message', 'first');
    await git('-C', clone, 'push', '--quiet', 'origin', 'HEAD:main');
    const again = join(home, 'again');
    await git('clone', '--quiet', url, again);
    expect((await git('-C', again, 'log', '--format=%s')).stdout).toBe('first');
    // git asks without a password first.
    const logins = new Set(world.seen.map(({ headers }) => headers.authorization));
    expect(logins).toEqual(new Set([undefined, expected]));
  });
});
