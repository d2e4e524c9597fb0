import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  describeListener,
  foreignProcesses,
  mountsOf,
  statusField,
  tcpListeners,
  unixListeners,
} from '../../src/boundary/attacks/surroundings.ts';

async function listening(options: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer().listen(options);
  await once(server, 'listening');
  return server;
}

describe('what the agent sees around itself', () => {
  it.for([
    { bound: '127.0.0.1', reached: '127.0.0.1' },
    { bound: '127.0.0.2', reached: '127.0.0.2' },
    { bound: '0.0.0.0', reached: '127.0.0.1' },
    { bound: '::1', reached: '[::1]' },
    { bound: '::', reached: '[::1]' },
  ])('finds a listener on $bound at an address that reaches it', async ({ bound, reached }) => {
    const server = await listening({ host: bound, port: 0 });
    const { port } = server.address() as net.AddressInfo;
    const found = tcpListeners().filter((listener) => listener.port === port);
    server.close();
    expect(found.map(describeListener)).toEqual([
      expect.stringMatching(reached === '[::1]' ? /^\[(::1|0:0:0:0:0:0:0:1)\]:/ : `${reached}:`),
    ]);
    const again = await listening({ host: bound, port });
    const socket = net.connect({ host: found[0]?.host ?? '', port });
    await once(socket, 'connect');
    socket.destroy();
    again.close();
  });

  it('finds an abstract socket that listens, by a name that reaches it', async () => {
    const name = `probe-test-${randomBytes(6).toString('hex')}`;
    const server = await listening({ path: `\0${name}` });
    expect(unixListeners()).toContainEqual({ name, abstract: true });
    const socket = net.connect({ path: `\0${name}` });
    await once(socket, 'connect');
    socket.destroy();
    server.close();
    await once(server, 'close');
    expect(unixListeners()).not.toContainEqual({ name, abstract: true });
  });

  it('finds a listening socket by its path, with whatever is in it, and no connected or datagram socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'probe with space-'));
    const path = join(folder, 'a b.sock');
    const server = await listening({ path });
    const socket = net.connect(path);
    await once(socket, 'connect');
    expect(unixListeners().filter(({ name }) => name === path)).toEqual([{ name: path, abstract: false }]);
    expect(unixListeners().every(({ name }) => name !== '')).toBe(true);
    socket.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  });

  it('never counts itself among the foreign processes', () => {
    const pids = foreignProcesses({ resolverUid: process.getuid?.() }).map(({ pid }) => pid);
    expect(pids).not.toContain(process.pid);
  });

  it('reads mounts and status of any process', () => {
    expect(mountsOf(process.pid)).toContainEqual(
      expect.objectContaining({ mountPoint: '/proc', type: 'proc' }),
    );
    expect(mountsOf(2 ** 22 + 1)).toEqual([]);
    expect(statusField('self', 'Uid').split('\t')[0]).toBe(String(process.getuid?.()));
  });
});
