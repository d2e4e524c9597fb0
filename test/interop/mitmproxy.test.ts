/** The real mitmproxy with the addon of examples/mitmproxy, and curl as the agent. */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { ThrowAwayAuthority } from '../../src/egress/authority.ts';
import { type CliProcess, startServe, until } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { find } from '../support/podman.ts';
import { describeIf } from '../support/root.ts';
import { ARTIFACTS, newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { CACHE, step } from './toolchains.ts';

const EXAMPLE = resolve(import.meta.dirname, '../../examples/mitmproxy');
const PACKAGES = join(CACHE, 'mitmproxy-11.0.2');
const PLACEHOLDER = 'openshell:resolve:env:GITLAB_TOKEN';
const TOKEN = ['--header', `private-token: ${PLACEHOLDER}`];

/** Folder of the generated stubs. */
async function install(): Promise<string> {
  const done = join(PACKAGES, 'installed');
  if (!existsSync(done)) {
    mkdirSync(PACKAGES, { recursive: true });
    await step('python3', [
      ...['-m', 'pip', 'install', '--quiet', '--no-deps', '--no-compile', '--target', PACKAGES],
      ...['--require-hashes', '--requirement', join(EXAMPLE, 'requirements.txt')],
    ]);
    writeFileSync(done, '');
  }
  const stubs = join(PACKAGES, 'stubs');
  mkdirSync(stubs, { recursive: true });
  await step(
    'python3',
    [
      ...['-m', 'grpc_tools.protoc', '-I', 'proto', `--python_out=${stubs}`, `--grpc_python_out=${stubs}`],
      'secretresolver/v1/resolver.proto',
    ],
    undefined,
    { PYTHONPATH: PACKAGES },
  );
  return stubs;
}

const missing = ['python3', 'pip3', 'curl'].find((program) => find(program) === undefined);

describeIf('mitmproxy with the addon', missing && `install ${missing}`, () => {
  const workspace = new Workspace();
  const secret = workspace.secret('credentials');
  const caFile = join(workspace.root, 'mitmproxy/mitmproxy-ca-cert.pem');
  const seen: IncomingMessage[] = [];
  const servers: Server[] = [];
  let [tlsPort, otherPort, plainPort, proxyPort] = [0, 0, 0, 0];
  let value = '';
  let serve: CliProcess;
  let mitmdump: ChildProcess;
  let log = '';

  const handle: RequestListener = (request, response) => {
    seen.push(request);
    response.end('ok');
  };
  const listen = async (server: Server): Promise<number> => {
    servers.push(server.listen(0, '127.0.0.1'));
    await until(() => server.listening);
    return (server.address() as AddressInfo).port;
  };
  /** The status of curl's, which is the proxy's own where it refuses. */
  const curl = async (...args: string[]): Promise<string> => {
    const proxy = `http://127.0.0.1:${proxyPort}`;
    const { stdout } = await execa(
      'curl',
      ['--silent', '--max-time', '10', '--output', '/dev/null', '--write-out', '%{http_code}', ...args],
      { env: { https_proxy: proxy, http_proxy: proxy, CURL_CA_BUNDLE: caFile, no_proxy: '' }, reject: false },
    );
    return stdout;
  };
  const url = (path = '/', port = tlsPort) => `https://localhost:${port}${path}`;
  const plain = () => `http://localhost:${plainPort}/`;
  const mount = () => {
    value = newSecret();
    secret.write({ GITLAB_TOKEN: value });
  };
  const inForce = (timeoutMs = 20_000) =>
    until(
      async () => {
        await curl(...TOKEN, url());
        return seen.at(-1)?.headers['private-token'] === value;
      },
      timeoutMs,
      () => `the value does not arrive:\n${log}`,
    );

  beforeAll(async () => {
    const stubs = await install();
    const authority = await ThrowAwayAuthority.create('upstream', Date.now());
    const { key, certificate: cert } = await authority.issue('localhost');
    const upstreamCa = join(workspace.root, 'upstream.pem');
    writeFileSync(upstreamCa, authority.certificate);
    tlsPort = await listen(createHttps({ key, cert }, handle));
    otherPort = await listen(createHttps({ key, cert }, handle));
    plainPort = await listen(createServer(handle));
    proxyPort = await freePort();
    workspace.writeProvider('gitlab.yaml', {
      name: 'gitlab',
      type: 'custom',
      endpoints: [
        { host: 'localhost', port: tlsPort },
        { host: 'localhost', port: plainPort, tls: false },
      ],
      credentialsFrom: [{ source: { type: 'kubernetesSecret', name: 'credentials' }, mode: 'allKeys' }],
    });
    mount();
    serve = await startServe(workspace.configFile);
    mitmdump = spawn(
      'python3',
      [
        ...[
          '-c',
          'from mitmproxy.tools.main import mitmdump; mitmdump()',
          '-s',
          join(EXAMPLE, 'resolver.py'),
        ],
        ...['--listen-host', '127.0.0.1', '-p', String(proxyPort)],
        ...['--set', `confdir=${join(workspace.root, 'mitmproxy')}`],
        ...['--set', `ssl_verify_upstream_trusted_ca=${upstreamCa}`],
        ...['--set', `resolver_socket=${workspace.socket}`],
      ],
      {
        env: {
          PATH: process.env.PATH,
          PYTHONPATH: `${PACKAGES}:${stubs}`,
          // To a pipe it would write once it has 8 KiB.
          PYTHONUNBUFFERED: '1',
          PYTHONPYCACHEPREFIX: join(PACKAGES, 'pycache'),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    for (const output of [mitmdump.stdout, mitmdump.stderr])
      output?.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        appendFileSync(join(ARTIFACTS, 'mitmproxy.log'), text);
      });
    // Python compiles what mitmproxy imports when it starts for the first time.
    await inForce(120_000);
  }, 300_000);
  afterAll(async () => {
    mitmdump?.kill('SIGKILL');
    await serve?.[Symbol.asyncDispose]();
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
    workspace[Symbol.dispose]();
  });
  beforeEach(() => {
    seen.length = 0;
  });

  it('sends the value in a header, in Basic credentials and in a query, and acknowledges it', async () => {
    const encoded = PLACEHOLDER.replaceAll(':', '%3A');
    expect(
      await curl(...TOKEN, '--user', `oauth2:${PLACEHOLDER}`, url(`/p?a=${PLACEHOLDER}&b=${encoded}&c=%20`)),
    ).toBe('200');
    const authorization = `Basic ${Buffer.from(`oauth2:${value}`).toString('base64')}`;
    expect(seen.pop()).toMatchObject({
      url: `/p?a=${value}&b=${value}&c=%20`,
      headers: { 'private-token': value, authorization },
    });
    expect(await curl(...TOKEN, plain())).toBe('200');
    expect(seen.pop()?.headers['private-token']).toBe(value);
    const audit = serve.lines('stdout').map(({ unmapped }) => unmapped);
    expect(audit).toContainEqual(expect.objectContaining({ outcome: 'acknowledged' }));
  });

  it.each([
    ['another port', '403', () => [...TOKEN, url('/', otherPort)]],
    ['another name of the server', '403', () => [...TOKEN, '--insecure', `https://127.0.0.1:${tlsPort}/`]],
    ['another Host', '403', () => [...TOKEN, '--header', 'host: other.example.com', url()]],
    ['plain HTTP to a server of TLS', '403', () => [...TOKEN, `http://localhost:${tlsPort}/`]],
    ['an unknown credential', '500', () => [url('/?a=openshell:resolve:env:OTHER')]],
    ['a wrong handle', '500', () => [url(`/?a=openshell:resolve:env:s${'0'.repeat(64)}_GITLAB_TOKEN`)]],
    ['a placeholder in a path', '500', () => [url(`/${PLACEHOLDER}`)]],
    [
      'a placeholder that is encoded twice',
      '500',
      () => [url('/?a=openshell%253Aresolve%253Aenv%253AGITLAB_TOKEN')],
    ],
    ['an alias', '500', () => ['--header', 'x: glpat-OPENSHELL-RESOLVE-ENV-GITLAB_TOKEN', url()]],
  ])('refuses %s', async (_, status, args) => {
    expect(await curl(...args())).toBe(status);
    expect(seen).toEqual([]);
  });

  it('sends the new value after a rotation, and none after a removal', async () => {
    for (let rotation = 0; rotation < 5; rotation++) {
      mount();
      await inForce();
    }
    secret.write({ OTHER: newSecret() });
    await until(async () => (await curl(...TOKEN, url())) === '500');
    mount();
    await inForce();
  });

  it('refuses placeholders while the resolver is gone, and goes on when it is back', async () => {
    serve.kill('SIGKILL');
    await serve.finished;
    await until(async () => (await curl(...TOKEN, url())) === '500');
    expect(await curl(url())).toBe('200');
    serve = await startServe(workspace.configFile);
    await inForce();
  });

  it('writes no value to its log', async () => {
    await until(() => log.includes('refused localhost'));
    expect(log).not.toContain('tst-');
  });
});
