/** Programs that nobody changed, with the environment that inject gives the agent. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { loadConfig } from '../../src/consumers/index.ts';
import { agentVariables } from '../../src/manifest/egress.ts';
import { describeWithEnvoy } from '../interop/envoy-program.ts';
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
    world.answer = (_request, response) => {
      response.setHeader('content-type', 'application/json');
      const version = { name: 'ours', version: '1.2.3', dist: { tarball: world.url('/ours.tgz') } };
      response.end(
        JSON.stringify({ name: 'ours', 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': version } }),
      );
    };
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
    const logins: (string | undefined)[] = [];
    world.answer = (request, response) => {
      const { authorization } = request.headers;
      logins.push(authorization);
      if (authorization !== expected) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
        return;
      }
      serveGit(join(home, 'upstream'), request, world.seen.at(-1)?.body ?? '', response);
    };
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
    expect(new Set(logins)).toEqual(new Set([undefined, expected]));
  });
});

/** git's own server program, as a web server runs it. */
function serveGit(root: string, request: IncomingMessage, body: string, response: ServerResponse): void {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const { 'content-type': type = '', 'content-encoding': encoding = '' } = request.headers;
  const child = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      REMOTE_USER: 'oauth2',
      REQUEST_METHOD: request.method,
      PATH_INFO: path,
      QUERY_STRING: query,
      CONTENT_TYPE: type,
      HTTP_CONTENT_ENCODING: encoding,
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.once('close', () => {
    const all = Buffer.concat(chunks);
    const end = all.indexOf('\r\n\r\n');
    for (const line of all.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', content = ''] = line.split(': ');
      if (name === 'Status') response.statusCode = Number.parseInt(content, 10);
      else response.setHeader(name, content);
    }
    response.end(all.subarray(end + 4));
  });
  child.stdin.end(Buffer.from(body, 'latin1'));
}
