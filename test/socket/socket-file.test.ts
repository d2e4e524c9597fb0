import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bindSocket, removeSocket, socketState } from '../../src/socket/socket-file.ts';
import { startServe, until } from '../support/cli.ts';
import { describeAsRoot } from '../support/root.ts';
import { Workspace } from '../support/workspace.ts';

let workspace: Workspace;
const servers: Server[] = [];

beforeEach(() => {
  workspace = new Workspace();
});

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
  workspace[Symbol.dispose]();
});

function bind(mode = 0o660, gid?: number) {
  const server = createServer();
  servers.push(server);
  return bindSocket(server, { path: workspace.socket, mode, gid });
}

function makeDirectory(folder: string, mode: number): void {
  mkdirSync(folder);
  chmodSync(folder, mode);
}

describe('binding', () => {
  it('makes a folder that only we may change, and a socket with the wanted mode', async () => {
    chmodSync(dirname(dirname(workspace.socket)), 0o2777);
    const bound = await bind(0o660);
    expect(lstatSync(dirname(workspace.socket)).mode & 0o7777).toBe(0o711);
    const stat = lstatSync(workspace.socket);
    expect(stat.isSocket()).toBe(true);
    expect(stat.mode & 0o777).toBe(0o660);
    expect(stat.gid).toBe(process.getegid?.());
    expect(socketState(bound)).toBe('ours');
  });

  it('replaces a socket that nobody answers on', async () => {
    const first = createServer();
    await bindSocket(first, { path: workspace.socket, mode: 0o600, gid: undefined });
    // As kill -9 leaves it: libuv never unlinks the public name, so closing is the same.
    await new Promise((done) => first.close(done));
    expect(lstatSync(workspace.socket).isSocket()).toBe(true);
    await bind();
  });

  it('refuses a socket that somebody answers on', async () => {
    await bind();
    await expect(bind()).rejects.toThrow(
      `${workspace.socket}: another process answers on it (stop that process first, or choose another socket.path)`,
    );
  });

  it('refuses a file, and leaves it alone', async () => {
    mkdirSync(dirname(workspace.socket), { mode: 0o711 });
    writeFileSync(workspace.socket, 'kept');
    await expect(bind()).rejects.toThrow(
      'exists but is not a socket (remove it by hand, or choose another socket.path)',
    );
    expect(statSync(workspace.socket).size).toBe(4);
  });

  it('refuses a symlink in its place, and leaves its target alone', async () => {
    mkdirSync(dirname(workspace.socket), { mode: 0o711 });
    const target = join(workspace.root, 'target');
    writeFileSync(target, 'kept');
    symlinkSync(target, workspace.socket);
    await expect(bind()).rejects.toThrow('exists but is not a socket');
    expect(existsSync(target)).toBe(true);
  });

  it.each([
    ['a symlink', (folder: string) => symlinkSync(workspace.root, folder), 'is not a real directory'],
    ['a file', (folder: string) => writeFileSync(folder, ''), 'is not a real directory'],
    [
      'writable by its group',
      (folder: string) => makeDirectory(folder, 0o770),
      'may be written by others (mode 770)',
    ],
    [
      'writable by all',
      (folder: string) => makeDirectory(folder, 0o1777),
      'may be written by others (mode 1777)',
    ],
  ])('refuses a folder that is %s', async (_what, make, message) => {
    make(dirname(workspace.socket));
    await expect(bind()).rejects.toThrow(message);
  });

  it('says what to do where the folder cannot be made', async () => {
    rmSync(dirname(dirname(workspace.socket)), { recursive: true });
    await expect(bind()).rejects.toThrow(
      'the folder cannot be made: ENOENT (mount a writable emptyDir at its parent)',
    );
  });
});

describeAsRoot('binding as root', () => {
  it('refuses a folder of another user', async () => {
    mkdirSync(dirname(workspace.socket), { mode: 0o711 });
    chownSync(dirname(workspace.socket), 1000, 1000);
    await expect(bind()).rejects.toThrow('belongs to uid 1000, not to us');
  });

  it('refuses a stale socket of another user', async () => {
    const stale = createServer();
    await bindSocket(stale, { path: workspace.socket, mode: 0o600, gid: undefined });
    await new Promise((done) => stale.close(done));
    chownSync(workspace.socket, 1000, 1000);
    await expect(bind()).rejects.toThrow('is a socket of uid 1000, not ours');
  });

  it('gives the socket to the group that is wanted', async () => {
    await bind(0o660, 4_242);
    expect(lstatSync(workspace.socket).gid).toBe(4_242);
  });
});

describe('the end', () => {
  it('removes the socket that we bound', async () => {
    removeSocket(await bind());
    expect(existsSync(workspace.socket)).toBe(false);
  });

  it('leaves what somebody else put there', async () => {
    const bound = await bind();
    unlinkSync(workspace.socket);
    writeFileSync(workspace.socket, 'theirs');
    expect(socketState(bound)).toBe('replaced');
    removeSocket(bound);
    expect(existsSync(workspace.socket)).toBe(true);
    // Closing the server unlinks nothing either: libuv knows the temporary name only.
    for (const server of servers.splice(0)) server.close();
    await new Promise((done) => setTimeout(done, 50));
    expect(existsSync(workspace.socket)).toBe(true);
  });
});

describe('while serve runs', () => {
  it('a removed socket is noticed, audited and bound again; open connections never notice', async () => {
    await using serve = await startServe(workspace.configFile);
    unlinkSync(workspace.socket);
    await until(
      () => existsSync(workspace.socket),
      5_000,
      () => serve.stderr,
    );
    await until(() => serve.stdout.includes('the socket file was removed'));
    expect(
      serve
        .lines('stdout')
        .find((record) => (record.unmapped as { finding?: string }).finding === 'socket-file'),
    ).toMatchObject({
      activity_id: 1,
      unmapped: { finding: 'socket-file', path: workspace.socket },
    });
    expect((await serve.stop()).code).toBe(0);
    expect(existsSync(workspace.socket)).toBe(false);
  });

  it('a replaced socket is noticed, and its replacement is not removed', async () => {
    await using serve = await startServe(workspace.configFile);
    writeFileSync(join(workspace.root, 'fake'), '');
    renameSync(join(workspace.root, 'fake'), workspace.socket);
    await until(() => serve.stdout.includes('the socket file was replaced'), 5_000);
    expect(lstatSync(workspace.socket).isFile()).toBe(true);
    rmSync(workspace.socket);
    await until(
      () => lstatSync(workspace.socket, { throwIfNoEntry: false })?.isSocket() === true,
      5_000,
      () => serve.stderr,
    );
  });
});
