/** Which sockets are ours: no process of the pod may answer that for us. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { gatherSockets } from '../../src/boundary/facts/facts-sockets.ts';
import type { Config } from '../../src/config/config.ts';
import { NODE } from '../support/checkout.ts';

let folder: string;
let own: Server;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'secret-resolver-sockets-'));
  own = createServer().listen(join(folder, 'own.sock'));
  await once(own, 'listening');
});
afterAll(() => {
  own.close();
  rmSync(folder, { recursive: true, force: true });
});

function ours() {
  const config = { socket: { path: join(folder, 'own.sock') } } as Config;
  return gatherSockets(config, { all: [], secrets: [], config: [] }, undefined);
}

async function listening(where: { host: string; port: number } | { path: string }): Promise<Server> {
  const server = createServer().listen(where);
  await once(server, 'listening');
  return server;
}

it('lists our own abstract sockets and TCP ports', async () => {
  const abstract = await listening({ path: `\0sockets-${process.pid}` });
  const tcp = await listening({ host: '127.0.0.1', port: 0 });
  const tcp6 = await listening({ host: '::1', port: 0 });
  const portOf = (server: Server) => (server.address() as { port: number }).port;
  const { abstractNames, tcpListeners } = ours();
  expect(abstractNames).toContain(`@sockets-${process.pid}`);
  expect(tcpListeners).toContainEqual({ address: '127.0.0.1', port: portOf(tcp) });
  expect(tcpListeners).toContainEqual({ address: '[::1]', port: portOf(tcp6) });
  for (const server of [abstract, tcp, tcp6]) server.close();
});

it('is not misled by an abstract name that another process chose to look like a line about our socket', async () => {
  const { fd } = (own as unknown as { _handle: { fd: number } })._handle;
  const inode = /\d+/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[0];
  const forged = `q\na: b c d e f ${inode} @forged`;
  const forger = spawn(
    NODE,
    [
      '-e',
      "require('net').createServer().listen('\\0' + process.argv[1], () => console.log('up'))",
      '--',
      forged,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    await once(forger.stdout, 'data');
    // The forgery is in place: the table has a line of its own for it.
    expect(readFileSync('/proc/self/net/unix', 'utf8')).toContain(`\na: b c d e f ${inode} @forged\n`);
    expect(ours().abstractNames).toEqual([]);
  } finally {
    forger.kill('SIGKILL');
  }
});
