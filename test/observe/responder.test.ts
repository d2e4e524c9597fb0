/** What one connection gets, from raw sockets: floods are in port-attacks.test.ts. */
import { execFileSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PORT_LIMITS, type PortLimits } from '../../src/domain/limits.ts';
import { healthRoutes, Responder } from '../../src/observe/responder.ts';
import { NODE } from '../support/checkout.ts';
import { until } from '../support/cli.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { freePort } from '../support/free-port.ts';

const IMPATIENT: PortLimits = { ...PORT_LIMITS, slow: { backlog: 64, everyMs: 1 } };

async function open(limits: Partial<PortLimits> = {}, serving = () => true) {
  const port = await freePort();
  const address = { host: '127.0.0.1', port };
  const responder = await Responder.open('health.listen', address, healthRoutes(serving), {
    ...IMPATIENT,
    ...limits,
  });
  return { port, responder };
}

interface Heard {
  readonly text: string;
  /** The error code where the connection was reset. */
  readonly code: string | undefined;
}

function heard(socket: Socket): Promise<Heard> {
  let text = '';
  let code: string | undefined;
  socket.setEncoding('latin1').on('data', (part: string) => {
    text += part;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  return new Promise((resolve) => socket.once('close', () => resolve({ text, code })));
}

function say(port: number, text: string): Promise<Heard> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  return heard(socket);
}

const statusOf = async (answer: Promise<Heard>) => (await answer).text.split('\r\n')[0];

it('answers from a fixed table and closes', async () => {
  let serving = false;
  const { port, responder } = await open({}, () => serving);
  await using _responder = responder;
  const get = (path: string) => statusOf(say(port, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`));
  // A restart repairs nothing while a credential is refused: alive, and not ready.
  expect(await get('/livez')).toBe('HTTP/1.1 200 OK');
  expect(await get('/readyz')).toBe('HTTP/1.1 503 Service Unavailable');
  serving = true;
  expect(await get('/readyz')).toBe('HTTP/1.1 200 OK');
  for (const path of ['/', '/metrics', '/livez/', '/livez?x', '/__proto__', 'constructor'])
    expect(await get(path), path).toBe('HTTP/1.1 404 Not Found');
  expect(await say(port, 'GET /livez HTTP/1.0\r\n\r\n')).toEqual({
    code: undefined,
    text: 'HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n',
  });
});

it.each([
  ['another method', 'HEAD /livez HTTP/1.1\r\n\r\n', 'HTTP/1.1 405 Method Not Allowed'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'HTTP/1.1 400 Bad Request'],
  ['no HTTP', 'x\r\n\r\n', 'HTTP/1.1 400 Bad Request'],
  ['an empty line', '\r\n\r\n', 'HTTP/1.1 400 Bad Request'],
])('refuses %s', async (_name, text, status) => {
  const { port, responder } = await open();
  await using _responder = responder;
  expect(await statusOf(say(port, text))).toBe(status);
});

it('resets a connection that sends more than 2 KiB, with or without the end of a request', async () => {
  const { port, responder } = await open();
  await using _responder = responder;
  for (const end of ['', '\r\n\r\n']) {
    const { text, code } = await say(port, `GET /livez HTTP/1.1\r\nx: ${'x'.repeat(8_192)}${end}`);
    expect(text).toBe('');
    expect(code).toBe('ECONNRESET');
  }
  await until(() => responder.size === 0);
});

it('resets a connection that sends its request in more than four pieces', async () => {
  const { port, responder } = await open();
  await using _responder = responder;
  const request = 'GET /livez HTTP/1.1\r\n\r\n';
  const inPieces = async (pieces: number) => {
    const socket = connect(port, '127.0.0.1').setNoDelay(true);
    const answer = heard(socket);
    const size = Math.ceil(request.length / pieces);
    for (let at = 0; at < request.length && !socket.destroyed; at += size) {
      socket.write(request.slice(at, at + size));
      await new Promise((wake) => setTimeout(wake, 20));
    }
    return answer;
  };
  expect((await inPieces(4)).text).toContain('200 OK');
  expect(await inPieces(8)).toMatchObject({ text: '' });
});

it('closes a connection that sends nothing, and one that does not read its answer', async () => {
  const long = 'x'.repeat(32 * 1024 * 1024);
  const port = await freePort();
  await using responder = await Responder.open(
    'metrics.listen',
    { host: '127.0.0.1', port },
    { '/metrics': () => ({ status: 200, text: long }) },
    { ...IMPATIENT, connectionMs: 300 },
  );
  const silent = connect(port, '127.0.0.1').resume();
  const deaf = connect(port, '127.0.0.1');
  deaf.write('GET /metrics HTTP/1.1\r\n\r\n');
  await until(() => responder.size === 2);
  await new Promise((resolve) => silent.once('close', resolve));
  await until(() => responder.size === 0);
  deaf.destroy();
});

it('answers 500 where a page cannot be made', async () => {
  const port = await freePort();
  const broken = () => {
    throw new Error('a defect');
  };
  const address = { host: '127.0.0.1', port };
  await using _responder = await Responder.open('metrics.listen', address, { '/x': broken }, IMPATIENT);
  expect(await statusOf(say(port, 'GET /x HTTP/1.1\r\n\r\n'))).toBe('HTTP/1.1 500 Internal Server Error');
});

it('makes room for a newcomer by closing the oldest', async () => {
  const { port, responder } = await open({ connectionsPerAddress: 4 });
  await using _responder = responder;
  const silent: Socket[] = [];
  for (let count = 1; count <= 4; count++) {
    silent.push(connect(port, '127.0.0.1').on('error', () => {}));
    await until(() => responder.size === count);
  }
  const oldest = new Promise((resolve) => silent[0]?.once('close', resolve));
  expect(await statusOf(say(port, 'GET /livez HTTP/1.1\r\n\r\n'))).toBe('HTTP/1.1 200 OK');
  await oldest;
  for (const socket of silent) socket.destroy();
});

it('accepts from its own network at fixed intervals only', async () => {
  const { port, responder } = await open({ slow: { backlog: 4, everyMs: 100 } });
  await using _responder = responder;
  let answered = 0;
  const dial = () => {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    socket.once('data', () => {
      answered += 1;
    });
    socket.write('GET /livez HTTP/1.1\r\n\r\n');
    return socket;
  };
  const flood = Array.from({ length: 200 }, dial);
  await new Promise((wake) => setTimeout(wake, 1_050));
  expect(answered).toBeGreaterThan(0);
  expect(answered).toBeLessThanOrEqual(10);
  for (const socket of flood) socket.destroy();
});

it('leaves no descriptor behind', async () => {
  const before = openDescriptors().length;
  {
    const { port, responder } = await open();
    await using _responder = responder;
    expect(await statusOf(say(port, 'GET /livez HTTP/1.1\r\n\r\n'))).toBe('HTTP/1.1 200 OK');
  }
  await until(() => openDescriptors().length <= before);
});

it('does not share its port with another of the same UID', async () => {
  const { port, responder } = await open();
  await using _responder = responder;
  await expect(Responder.open('health.listen', { host: '127.0.0.1', port }, {}, IMPATIENT)).rejects.toThrow(
    `health.listen: cannot bind 127.0.0.1:${port}: EADDRINUSE (choose a free port)`,
  );
});

it('listens on both families at [::], and on IPv4 where the kernel has no IPv6', async () => {
  const port = await freePort();
  const limits = IMPATIENT;
  await using _responder = await Responder.open(
    'health.listen',
    { host: '::', port },
    healthRoutes(() => true),
    limits,
  );
  for (const host of ['127.0.0.1', '[::1]'])
    expect((await fetch(`http://${host}:${port}/livez`)).status).toBe(200);
  const child = join(import.meta.dirname, 'no-ipv6-child.ts');
  expect(execFileSync(NODE, [child, String(await freePort())], { encoding: 'utf8' })).toBe('0.0.0.0 200\n');
});
