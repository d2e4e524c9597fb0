import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { socketIdentity, waitForSocket } from '../../src/client/retry-wait.ts';

const FOREVER = 3_600_000;
let folder: string;
let path: string;
let servers: Server[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'msr-wait-'));
  path = join(folder, 'resolver.sock');
  servers = [];
});
afterEach(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true });
});

/** Binds aside and renames into place, as the resolver does. */
async function bind(): Promise<void> {
  const server = createServer();
  servers.push(server);
  const aside = join(folder, `.${servers.length}`);
  await new Promise<void>((done) => server.listen(aside, done));
  renameSync(aside, path);
}

describe('the wait before a new attempt', () => {
  it('ends when a socket appears where there was none', async () => {
    const waiting = waitForSocket(path, socketIdentity(path), FOREVER, new AbortController().signal);
    await bind();
    expect(await waiting).toBe(true);
  });

  it('ends when another socket takes the place of the one that a killed process left', async () => {
    await bind();
    const waiting = waitForSocket(path, socketIdentity(path), FOREVER, new AbortController().signal);
    await bind();
    expect(await waiting).toBe(true);
  });

  it('lasts its time while the same socket stands, and while there is none', async () => {
    const { signal } = new AbortController();
    await bind();
    const began = performance.now();
    expect(await waitForSocket(path, socketIdentity(path), 100, signal)).toBe(false);
    expect(await waitForSocket(join(folder, 'none'), '', 100, signal)).toBe(false);
    // A socket that went away is nothing to connect to.
    const seen = socketIdentity(path);
    rmSync(path);
    expect(await waitForSocket(path, seen, 100, signal)).toBe(false);
    // Timers may fire a millisecond early.
    expect(performance.now() - began).toBeGreaterThan(290);
  });

  it('ends when the watch is given up', async () => {
    const stop = new AbortController();
    const waiting = waitForSocket(path, '', FOREVER, stop.signal);
    stop.abort();
    expect(await waiting).toBe(false);
  });
});
