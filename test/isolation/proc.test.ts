import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  capabilityNames,
  parseIdMap,
  parseStatus,
  parseTcpListeners,
  parseUnixSockets,
} from '../../src/isolation/proc.ts';

function listen(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
}

describe('parseStatus', () => {
  it('reads this process as the process knows itself', () => {
    const status = parseStatus(readFileSync('/proc/self/status', 'utf8'));
    expect(status?.uids[0]).toBe(process.getuid?.());
    expect(status?.gids[0]).toBe(process.getgid?.());
    expect(status?.parent).toBe(process.ppid);
    expect(status?.zombie).toBe(false);
    expect(status?.threads).toBeGreaterThan(1);
  });

  it.each(['', 'Name:\tx\n', 'Uid:\t1\t2\n'])('takes %j for a process that is gone', (text) => {
    expect(parseStatus(text)).toBeUndefined();
  });

  it('takes control characters out of a name', () => {
    const text = 'Name:\t\x1b[31mroot\nUid:\t1\t1\t1\t1\nCapEff:\t0\n';
    expect(parseStatus(text)?.name).toBe('?[31mroot');
  });
});

describe('capabilityNames', () => {
  it.each([
    ['0000000000000000', []],
    ['0000000000080004', ['DAC_READ_SEARCH', 'SYS_PTRACE']],
    ['8000000000000000', ['CAP_63']],
  ])('%s', (mask, names) => {
    expect(capabilityNames(mask)).toEqual(names);
  });
});

describe('parseIdMap', () => {
  it('reads the lines of a map, and none from an empty one', () => {
    expect(parseIdMap('         0       1000          1\n')).toEqual([
      { inside: 0, outside: 1000, count: 1 },
    ]);
    expect(parseIdMap('')).toEqual([]);
  });
});

describe('parseTcpListeners', () => {
  it.each([
    ['127.0.0.1', 'tcp', '127.0.0.1'],
    ['::1', 'tcp6', '[::1]'],
    ['::', 'tcp6', '[::]'],
  ])('finds a listener on %s', async (host, table, address) => {
    const server = createServer();
    await listen(server, { host, port: 0 });
    try {
      const { port } = server.address() as { port: number };
      const listeners = parseTcpListeners(readFileSync(`/proc/self/net/${table}`, 'utf8'));
      expect(listeners).toContainEqual({ address, port, inode: expect.any(Number) });
    } finally {
      server.close();
    }
  });
});

describe('parseUnixSockets', () => {
  it('finds an abstract socket by its name', async () => {
    const server = createServer();
    const name = `secret-resolver-proc-${process.pid}`;
    await listen(server, { path: `\0${name}` });
    try {
      const sockets = parseUnixSockets(readFileSync('/proc/self/net/unix', 'utf8'));
      expect(sockets).toContainEqual({ path: `@${name}`, inode: expect.any(Number) });
    } finally {
      server.close();
    }
  });
});
