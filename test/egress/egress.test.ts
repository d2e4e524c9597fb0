/** A placeholder of the agent's, through curl, the real Envoy and the kit, to a server; and everything that may not get there. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { callOn } from '../../src/boundary/attacks/grpc-wire.ts';
import type { Rpc } from '../../src/boundary/attacks/types.ts';
import { selfTestCalls } from '../../src/consumers/index.ts';
import { describeWithEnvoy } from '../interop/envoy-program.ts';
import { NODE } from '../support/checkout.ts';
import { until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { EgressWorld, HOST, WRONG_HOST } from './world.ts';

const PLACEHOLDER = 'openshell:resolve:env:GITLAB_TOKEN';
const TOKEN = ['--header', `private-token: ${PLACEHOLDER}`];

describeWithEnvoy('an agent behind Envoy and the kit', () => {
  let world: EgressWorld;
  let value: string;
  /** Mounts a value and waits until the kit has it. */
  const mount = async (next = newSecret()) => {
    value = next;
    world.secret.write({ GITLAB_TOKEN: next });
    await until(async () => {
      await world.curl([...TOKEN, world.url('/mount')]);
      return world.seen.at(-1)?.headers['private-token'] === next;
    });
    world.seen.length = 0;
  };
  beforeAll(async () => {
    world = await EgressWorld.start({}, ({ tlsPort, plainPort }) => [
      { host: HOST, port: tlsPort },
      { host: '*.wild.localhost', port: tlsPort },
      { host: 'paths.localhost', port: tlsPort, path: '/api/**' },
      { host: HOST, port: plainPort, tls: false },
    ]);
    await mount();
  }, 60_000);
  afterAll(async () => world?.[Symbol.asyncDispose]());
  beforeEach(() => {
    world.seen.length = 0;
    world.answer = undefined;
  });

  it('sends the value in a header, in Basic credentials, in a query and in a path, by HTTP/2 and HTTP/1.1', async () => {
    for (const version of ['--http2', '--http1.1']) {
      const { status } = await world.curl([
        ...[version, ...TOKEN, '--user', `oauth2:${PLACEHOLDER}`],
        world.url(`/p/${PLACEHOLDER}?token=${PLACEHOLDER}&keep=%2F`),
      ]);
      expect(status).toBe(200);
      const basic = Buffer.from(`oauth2:${value}`).toString('base64');
      expect(world.seen.pop()).toMatchObject({
        url: `/p/${value}?token=${value}&keep=%2F`,
        headers: { 'private-token': value, authorization: `Basic ${basic}` },
      });
    }
  });

  it('changes nothing else of a request', async () => {
    const { status, body } = await world.curl([
      ...['--http1.1', '--data-binary', 'a\n%0A', '--header', 'x: 1', '--header', `x: ${PLACEHOLDER}`],
      world.url('/a//b/../c?d=%20+&e', world.plainPort),
      '--path-as-is',
    ]);
    expect({ status, body }).toEqual({ status: 200, body: 'ok' });
    const [seen] = world.seen;
    expect(seen).toMatchObject({ method: 'POST', url: '/a//b/../c?d=%20+&e', body: 'a\n%0A' });
    expect(Object.keys(seen?.headers ?? {}).sort()).toEqual(
      ['accept', 'content-length', 'content-type', 'host', 'user-agent', 'x'].sort(),
    );
    expect(seen?.headers.x).toBe(`1, ${value}`);
  });

  it('passes a placeholder in a body on, unless bodies are rewritten there', async () => {
    await world.curl(['--data', PLACEHOLDER, world.url()]);
    expect(world.seen[0]?.body).toBe(PLACEHOLDER);
  });

  it.each([
    ['a host that is not listed', 403, 'CONNECT', ['https://other.localhost/']],
    ['a listed host at another port', 403, 'CONNECT', [`https://${HOST}:1/`]],
    ['a plain request to a host of TLS', 403, 'destination_not_listed', ['http://paths.localhost/']],
    ['two labels where the pattern has one', 403, 'CONNECT', ['https://a.b.wild.localhost:PORT/']],
    ['a trailing dot', 403, 'CONNECT', [`https://${HOST}.:PORT/`]],
    ['another Host', 403, 'host_mismatch', [`https://${HOST}:PORT/`, '--header', 'host: paths.localhost']],
    [
      'a Host with a dot at its end',
      403,
      'host_mismatch',
      [`https://${HOST}:PORT/`, '--header', `host: ${HOST}.`],
    ],
    [
      'a Host of another port',
      403,
      'host_mismatch',
      [`https://${HOST}:PORT/`, '--header', `host: ${HOST}:1`],
    ],
    [
      'a target that names another server',
      403,
      'host_mismatch',
      [`https://${HOST}:PORT/`, '--http1.1', '--request-target', 'https://paths.localhost/api/x'],
    ],
    ['a path that is not bound', 403, 'credential_endpoint_mismatch', ['https://paths.localhost:PORT/other']],
    [
      'a path that climbs',
      403,
      'credential_endpoint_mismatch',
      ['https://paths.localhost:PORT/api/%2e%2e/other'],
    ],
    [
      'an unknown credential',
      500,
      'credential_unavailable',
      [`https://${HOST}:PORT/?a=openshell:resolve:env:OTHER`],
    ],
    ['a marker in a name', 500, 'credential_unavailable', [`https://${HOST}:PORT/?${PLACEHOLDER}=1`]],
  ])('refuses %s', async (_, status, says, args) => {
    const answer = await world.curl([
      ...TOKEN,
      '--insecure',
      ...args.map((arg) => arg.replace('PORT', String(world.tlsPort))),
    ]);
    expect(answer.status).toBe(status);
    expect(`${answer.headers}${answer.body}`).toContain(says);
    expect(world.seen).toEqual([]);
  });

  it.each([
    ['a listed host', HOST, 200],
    ['a host that is not ASCII and lowers to a listed one', '\u212a.wild.localhost', 400],
    ['a dot at the end', `${HOST}.`, 403],
    ['a NUL', `${HOST}\0.example.com`, 400],
    ['a user name', `${HOST}@other.localhost`, 400],
    ['loopback', '127.0.0.1', 403],
  ])('answers a CONNECT to %s', async (_, host, status) => {
    expect(await world.connect(`${host}:${world.tlsPort}`)).toBe(status);
  });

  it('verifies the server for the name that was asked', async () => {
    const ask = (host: string) => world.curl([...TOKEN, `https://${host}:${world.tlsPort}/`]);
    const answer = await ask(WRONG_HOST);
    expect(answer.status).toBe(503);
    expect(world.seen).toEqual([]);
    expect((await ask('right.wild.localhost')).status).toBe(200);
  });

  it('takes an upper-case name for what it is', async () => {
    const answer = await world.curl([...TOKEN, `https://${HOST.toUpperCase()}:${world.tlsPort}/`]);
    expect(answer.status).toBe(200);
    expect(world.seen[0]?.headers['private-token']).toBe(value);
  });

  it('sends the new value after a rotation, and none after a removal', { timeout: 60_000 }, async () => {
    let last = value;
    for (let rotation = 0; rotation < 50; rotation++) {
      const next = newSecret();
      world.secret.write({ GITLAB_TOKEN: next });
      const deadline = performance.now() + 5_000;
      for (;;) {
        expect((await world.curl([...TOKEN, world.url()])).status).toBe(200);
        const seen = world.seen.pop()?.headers['private-token'];
        if (seen === next) break;
        expect(seen).toBe(last);
        expect(performance.now()).toBeLessThan(deadline);
      }
      last = next;
    }
    world.secret.write({ OTHER: newSecret() });
    await until(async () => (await world.curl([...TOKEN, world.url()])).status === 500);
    await mount();
  });

  it('fails closed when the resolver, the kit or Envoy is killed, and heals when it is back', {
    timeout: 120_000,
  }, async () => {
    const works = async () => {
      world.seen.length = 0;
      const { status } = await world.curl([...TOKEN, world.url()]);
      if (status === 200) expect(world.seen[0]?.headers['private-token']).toBe(value);
      else expect(world.seen).toEqual([]);
      return status === 200;
    };
    world.serve.kill('SIGKILL');
    await world.serve.finished;
    await until(async () => !(await works()));
    await world.startResolver();
    await until(works);

    world.kit.kill('SIGKILL');
    await world.kit.finished;
    expect(await works()).toBe(false);
    expect((await world.curl([world.url()])).status).not.toBe(200);
    await world.startKit();
    await until(works, 20_000);

    await world.stopEnvoy();
    expect(await works()).toBe(false);
    await world.startEnvoy();
    await until(works);
  });

  it('has a certificate for a listed host, however many names an agent asks for', async () => {
    using asking = world.certificates();
    const { ask } = asking;
    const names = Array.from({ length: 600 }, (_, at) => `n${at}.wild.localhost`);
    const { granted, refused } = await ask(names);
    expect([granted.length, refused.length]).toEqual([0, 600]);
    // What was refused takes no other name's place.
    expect((await ask(names.slice(0, 500))).granted).toHaveLength(500);
    expect((await ask(['another.wild.localhost'])).refused).toHaveLength(1);
    expect((await ask([HOST.toUpperCase(), HOST, 'other.localhost'])).granted).toEqual([
      HOST.toUpperCase(),
      HOST,
    ]);
  });

  it('follows the configuration', { timeout: 30_000 }, async () => {
    const ask = () => world.curl([...TOKEN, `https://${HOST}:${world.tlsPort}/`]);
    world.writeProvider([{ host: HOST, port: world.plainPort, tls: false }]);
    await until(async () => (await ask()).status === 403, 10_000);
    world.writeProvider([{ host: HOST, port: world.tlsPort }]);
    await until(async () => (await ask()).status === 200, 20_000);
  });

  it("passes for no credential service in the self-test's eyes", async () => {
    const [rpc] = selfTestCalls('x').filter(({ path }) => path.endsWith('ProviderEnvironment'));
    const connection = net.connect({ host: '127.0.0.1', port: world.proxyPort });
    expect(await callOn(connection, rpc as Rpc, 5_000)).not.toHaveProperty('kind', 'status');
  });

  it('shows the agent a certificate and nothing else', async () => {
    const asAgent = (script: string) =>
      spawnSync(NODE, ['--eval', script], { uid: 1000, gid: 1000, encoding: 'utf8' });
    const net = (path: string) =>
      asAgent(
        `require('net').connect(${JSON.stringify(path)}).on('error', (e) => { console.log(e.code); })`,
      ).stdout.trim();
    expect(net(`${world.directory}/egress.sock`)).toBe('EACCES');
    for (const file of ['envoy.yaml', 'listeners.yaml', 'clusters.yaml'])
      expect(
        asAgent(`require('fs').readFileSync(${JSON.stringify(`${world.directory}/${file}`)})`).status,
      ).toBe(1);
    const read = asAgent(`console.log(require('fs').readFileSync(${JSON.stringify(world.caFile)}, 'utf8'))`);
    expect(read.stdout).toMatch(/^-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\s*$/);
  });

  it('opens no inspector, and writes to its own folders alone', () => {
    const flags = readFileSync(`/proc/${world.kit.pid}/cmdline`, 'utf8').split('\0');
    expect(flags).toEqual(expect.arrayContaining(['--disable-sigusr1', '--permission']));
    const caDirectory = dirname(world.caFile);
    expect(flags.filter((flag) => flag.startsWith('--allow-fs-write'))).toEqual(
      [world.directory, caDirectory].flatMap((folder) => [
        `--allow-fs-write=${folder}`,
        `--allow-fs-write=${folder}/*`,
      ]),
    );
    expect(flags).not.toContain('--allow-child-process');
  });

  it('has no value in its configuration, of which a second Envoy shows everything', async () => {
    const folder = join(world.workspace.root, 'shown');
    const admin = join(folder, 'admin.sock');
    world.copyConfiguration(folder, { admin: { address: { pipe: { path: admin } } } });
    const envoy = world.spawnEnvoy(folder);
    const ended = once(envoy, 'close');
    for (const output of [envoy.stdout, envoy.stderr]) output?.resume();
    const show = async () => {
      const path = '/config_dump?include_eds';
      const [response] = (await once(get({ socketPath: admin, path }), 'response')) as [IncomingMessage];
      return text(response);
    };
    await until(async () => (await show().catch(() => '')).includes('on_demand_secret'), 15_000);
    const dump = await show();
    envoy.kill('SIGKILL');
    await ended;
    expect(dump).toContain('ext_proc');
    for (const secret of [value, 'PRIVATE KEY']) expect(dump).not.toContain(secret);
  });

  it('writes no value to a log', () => {
    for (const text of [world.kit.stderr, world.kit.stdout, world.envoyLog])
      expect(text).not.toContain(value);
  });
});

describeWithEnvoy('where the operator opts in', () => {
  let world: EgressWorld;
  let value: string;
  beforeAll(async () => {
    world = await EgressWorld.start({
      unlisted: 'tunnel',
      rewriteBodies: ['git*'],
      redactResponses: ['gitlab'],
    });
    value = newSecret();
    world.secret.write({ GITLAB_TOKEN: value });
    await until(async () => (await world.curl([...TOKEN, world.url()])).status === 200);
  }, 60_000);
  afterAll(async () => world?.[Symbol.asyncDispose]());
  beforeEach(() => {
    world.seen.length = 0;
    world.answer = undefined;
  });

  it.each([
    ['a form', 'application/x-www-form-urlencoded', `a=1&token=${PLACEHOLDER}`, 'a=1&token=VALUE'],
    ['JSON', 'application/json', `{"token":"${PLACEHOLDER}"}`, '{"token":"VALUE"}'],
    ['a body without a placeholder', 'application/octet-stream', '\x01\x02\x03', '\x01\x02\x03'],
  ])('replaces placeholders in %s', async (_, type, body, expected) => {
    for (const chunked of [[], ['--http1.1', '--header', 'transfer-encoding: chunked']]) {
      await world.curl([...chunked, '--header', `content-type: ${type}`, '--data-binary', body, world.url()]);
      expect(world.seen.pop()?.body).toBe(expected.replace('VALUE', value));
    }
  });

  it('refuses a body that cannot be rewritten', async () => {
    const type = 'content-type: application/octet-stream';
    const { status } = await world.curl(['--header', type, '--data', PLACEHOLDER, world.url()]);
    expect(status).toBe(500);
    expect(world.seen).toEqual([]);
  });

  it('takes values out of responses, also where they are cut in two', async () => {
    const basic = Buffer.from(`oauth2:${value}`).toString('base64');
    world.answer = (_request, response) => {
      response.setHeader('content-type', 'text/plain; charset=utf-8');
      response.setHeader('x-echo', `Basic ${basic}`);
      response.write(`one ${value.slice(0, 9)}`);
      setTimeout(() => response.end(`${value.slice(9)} two ${basic} ${value}`), 50);
    };
    const answer = await world.curl([...TOKEN, '--header', 'accept-encoding: gzip', world.url()]);
    expect(world.seen[0]?.headers['accept-encoding']).toBeUndefined();
    expect(answer.body).toMatch(/^one \[CREDENTIAL\] two \S*\[CREDENTIAL\]\S* \[CREDENTIAL\]$/);
    expect(answer.headers).toContain('[CREDENTIAL]');
    expect(`${answer.headers}${answer.body}`).not.toContain(value);
    expect(`${answer.headers}${answer.body}`).not.toContain(basic);
  });

  it('takes out what the agent makes part of a header that is not passed on, and forms that the kit writes', async () => {
    const special = `${newSecret()}!'()*`;
    world.secret.write({ GITLAB_TOKEN: special });
    world.answer = (request, response) => {
      response.setHeader('content-type', 'text/plain');
      response.end(`${request.headers['accept-encoding']} ${request.url}`);
    };
    await until(async () => {
      const args = [
        '--header',
        `accept-encoding: gzip, ${PLACEHOLDER}`,
        world.url(`/${PLACEHOLDER}?q=${PLACEHOLDER}`),
      ];
      const { body, status } = await world.curl(args);
      if (!decodeURIComponent(world.seen.at(-1)?.url ?? '').includes(special)) return false;
      expect({ body, status }).toEqual({ body: 'undefined /[CREDENTIAL]?q=[CREDENTIAL]', status: 200 });
      return true;
    });
    world.secret.write({ GITLAB_TOKEN: value });
    await until(async () => {
      await world.curl([...TOKEN, world.url()]);
      return world.seen.at(-1)?.headers['private-token'] === value;
    });
  });

  it('takes a value out of a response that was begun before its rotation', async () => {
    const next = newSecret();
    world.answer = (_request, response) => {
      response.setHeader('content-type', 'text/plain');
      response.write('begin ');
      const send = () =>
        world.seen.some(({ headers }) => headers['private-token'] === next) ? response.end(next) : 0;
      const timer = setInterval(() => send() && clearInterval(timer), 20);
      response.once('close', () => clearInterval(timer));
    };
    const long = world.curl([world.url('/long')]);
    await until(() => world.seen.length > 0);
    const { answer } = world;
    world.answer = undefined;
    world.secret.write({ GITLAB_TOKEN: next });
    await until(async () => {
      await world.curl([...TOKEN, world.url()]);
      return world.seen.at(-1)?.headers['private-token'] === next;
    });
    value = next;
    expect(answer).toBeDefined();
    expect((await long).body).toBe('begin [CREDENTIAL]');
  });

  it('sends no value that was revoked while a body was on its way', async () => {
    const upload = await world.openUpload(TOKEN[1] ?? '');
    world.secret.write({ OTHER: newSecret() });
    await until(async () => (await world.curl([...TOKEN, world.url()])).status === 500);
    world.seen.length = 0;
    expect(await upload.finish()).toBe(500);
    expect(world.seen).toEqual([]);
    world.secret.write({ GITLAB_TOKEN: value });
    await until(async () => (await world.curl([...TOKEN, world.url()])).status === 200);
  });

  it('passes other responses on as they are', async () => {
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, at) => at % 251));
    world.answer = (_request, response) => {
      response.setHeader('content-type', 'application/octet-stream');
      response.end(bytes);
    };
    const answer = await world.curl([world.url()]);
    expect(Buffer.from(answer.body, 'latin1').equals(bytes)).toBe(true);
  });

  it('tunnels what is not listed, with its placeholders as they are', async () => {
    const url = `https://other.localhost:${world.tlsPort}/`;
    expect((await world.curl([...TOKEN, '--insecure', url])).status).toBe(200);
    expect(world.seen[0]?.headers['private-token']).toBe(PLACEHOLDER);
    // The agent meets the certificates of such servers themselves.
    const trusted = readFileSync(world.caFile, 'utf8').match(/BEGIN CERTIFICATE/g) ?? [];
    expect(trusted.length).toBe(1 + rootCertificates.length);
  });

  it('sends no value to what is not listed by plain HTTP', async () => {
    const url = `http://other.localhost:${world.plainPort}/`;
    expect((await world.curl([url])).status).toBe(200);
    world.seen.length = 0;
    expect((await world.curl([...TOKEN, url])).status).toBe(403);
    expect(world.seen).toEqual([]);
  });
});
