/** The calls that harden the process and those that attack another: each once where the kernel allows it, once where not. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  bindOverItself,
  copyForeignDescriptor,
  exchangeNames,
  openPidFd,
  readProcessMemory,
  traceAndRelease,
  unixPeerPath,
} from '../../src/native/attacks.ts';
import {
  getCoreLimit,
  getDumpable,
  getNoNewPrivileges,
  localSocket,
  NativeError,
  pidFdWatch,
  setCoreLimitZero,
  setNoNewPrivileges,
  setNonDumpable,
} from '../../src/native/native.ts';
import { provePeers } from '../../src/native/peer-proof.ts';
import { NODE } from '../support/checkout.ts';
import { until } from '../support/cli.ts';
import { describeAsRoot } from '../support/root.ts';

const ESRCH = 3;
const EBADF = 9;
const NO_PROCESS = 4_194_303;

let folder: string;
const victim = spawn(NODE, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
const victimPid = victim.pid ?? -1;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'msr-native-'));
});

afterAll(() => {
  victim.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function errnoOf(work: () => unknown): number {
  try {
    work();
  } catch (error) {
    if (error instanceof NativeError) return error.errno;
    throw error;
  }
  return 0;
}

describe('attacks on a process that may be attacked', () => {
  it('PTRACE_SEIZE attaches and lets go', () => {
    expect(() => traceAndRelease(victimPid)).not.toThrow();
    expect(readFileSync(`/proc/${victimPid}/status`, 'utf8')).toMatch(/TracerPid:\t0\n/);
    expect(errnoOf(() => traceAndRelease(NO_PROCESS))).toBe(ESRCH);
  });

  it('process_vm_readv obtains what it asks for, at most a page', () => {
    const start = BigInt(`0x${readFileSync(`/proc/${victimPid}/maps`, 'utf8').split('-')[0]}`);
    expect(readProcessMemory(victimPid, start, 64)).toBe(64);
    expect(readProcessMemory(victimPid, start, 1_000_000)).toBe(4_096);
    expect(errnoOf(() => readProcessMemory(NO_PROCESS, start, 1))).toBe(ESRCH);
  });

  it('pidfd_getfd copies a descriptor', async () => {
    const fd = openPidFd(victimPid);
    const copy = copyForeignDescriptor(fd, 0);
    expect(copy).toBeGreaterThan(2);
    expect(errnoOf(() => copyForeignDescriptor(fd, 9_999))).toBe(EBADF);
    closeSync(copy);
    expect(pidFdWatch(fd)()).toBe(false);
    closeSync(fd);
    expect(errnoOf(() => openPidFd(NO_PROCESS))).toBe(ESRCH);
    expect(errnoOf(() => pidFdWatch(-1)())).toBe(0);
  });

  it('a pidfd tells that its process has ended', async () => {
    const short = spawn(NODE, ['-e', ''], { stdio: 'ignore' });
    const fd = openPidFd(short.pid ?? -1);
    await until(() => pidFdWatch(fd)());
    closeSync(fd);
  });
});

describe('attacks on names', () => {
  it('renameat2 exchanges two names', () => {
    const [a, b] = [join(folder, 'a'), join(folder, 'b')];
    writeFileSync(a, '1');
    writeFileSync(b, '22');
    exchangeNames(a, b);
    expect(readFileSync(a, 'utf8')).toBe('22');
    expect(errnoOf(() => exchangeNames(a, join(folder, 'nowhere')))).toBe(2);
  });

  it('getpeername tells the path of a Unix socket', async () => {
    const path = join(folder, 'socket');
    const server = createServer().listen(path);
    await once(server, 'listening');
    const socket = connect(path);
    await once(socket, 'connect');
    const fd = (socket as Socket & { _handle: { fd: number } })._handle.fd;
    expect(unixPeerPath(fd)).toBe(path);
    const [client] = (await Promise.all([once(server, 'connection'), Promise.resolve(connect(path))]))[0] as [
      Socket & { _handle: { fd: number } },
    ];
    expect(unixPeerPath(client._handle.fd)).toBe('');
    client.destroy();
    socket.destroy();
    server.close();
    // An abstract name has no zero byte at its end.
    const name = `\0peer-${process.pid}`;
    const abstract = createServer().listen(name);
    await once(abstract, 'listening');
    const caller = connect(name);
    await once(caller, 'connect');
    expect(unixPeerPath((caller as Socket & { _handle: { fd: number } })._handle.fd)).toBe(name);
    caller.destroy();
    abstract.close();
    const file = openSync('/dev/null', 'r');
    expect(errnoOf(() => unixPeerPath(file))).toBe(88);
    closeSync(file);
  });
});

describe('a socket of our own', () => {
  const fdOf = (handle: object) => (handle as { _handle: { fd: number } })._handle.fd;

  it.each([
    ['127.0.0.1', 'inet', '127.0.0.1'],
    ['::1', 'inet6', '::1'],
    ['::', 'inet6', '::'],
  ] as const)('that listens on %s', async (host, family, address) => {
    const server = createServer().listen(0, host);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    expect(localSocket(fdOf(server))).toEqual({ family, address, port, listening: true });
    const socket = connect(port, host === '::' ? '::1' : host);
    await once(socket, 'connect');
    expect(localSocket(fdOf(socket))).toMatchObject({ family, listening: false });
    socket.destroy();
    server.close();
  });

  it.each([
    ['a path', () => join(folder, 'named')],
    ['an abstract name', () => `\0native\na: b c d e f 1 @${process.pid}`],
  ])('with %s, and its client without', async (_what, make) => {
    const path = make();
    const server = createServer().listen(path);
    await once(server, 'listening');
    expect(localSocket(fdOf(server))).toEqual({ family: 'unix', name: path });
    const socket = connect(path);
    await once(socket, 'connect');
    expect(localSocket(fdOf(socket))).toEqual({ family: 'unix', name: '' });
    socket.destroy();
    server.close();
  });

  it('is not a file, nor what is closed', () => {
    const file = openSync('/dev/null', 'r');
    expect(localSocket(file)).toBeUndefined();
    closeSync(file);
    expect(localSocket(file)).toBeUndefined();
  });
});

it('a socket of another family is told from ours', () => {
  const AF_NETLINK = 16;
  const SOCK_RAW = 3;
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const socket = koffi.load(null).func('int socket(int family, int type, int protocol)') as (
    ...words: number[]
  ) => number;
  const fd = socket(AF_NETLINK, SOCK_RAW, 0);
  expect(localSocket(fd)).toEqual({ family: 'other' });
  closeSync(fd);
});

describeAsRoot('attacks of root', () => {
  it('a path can be mounted over itself, and is as before', () => {
    bindOverItself(folder);
    expect(spawnSync('mountpoint', ['-q', folder]).status).not.toBe(0);
    expect(errnoOf(() => bindOverItself(join(folder, 'nowhere')))).toBe(2);
  });
});

describe('another system', () => {
  it.each([
    ['another operating system', { platform: 'darwin' }],
    ['a big-endian machine', { endian: 'BE' }],
  ])(
    'is refused with a sentence: %s',
    async (_what, { platform, endian }: { platform?: string; endian?: string }) => {
      vi.resetModules();
      vi.doMock('node:os', async (original) => ({
        ...(await original<object>()),
        ...(endian === undefined ? {} : { endianness: () => endian }),
      }));
      const own = process.platform;
      if (platform !== undefined) Object.defineProperty(process, 'platform', { value: platform });
      try {
        const fresh = await import('../../src/native/native.ts');
        expect(() => fresh.getDumpable()).toThrow('run the resolver there');
      } finally {
        Object.defineProperty(process, 'platform', { value: own });
        vi.doUnmock('node:os');
      }
    },
  );
});

describe('hardening', () => {
  it('sees the limit that a shell has set, or that there is none', () => {
    const { soft, hard } = getCoreLimit();
    const said = readFileSync('/proc/self/limits', 'utf8').match(/Max core file size +(\S+) +(\S+)/);
    expect(
      [soft, hard].map((limit) => (limit === Number.POSITIVE_INFINITY ? 'unlimited' : String(limit))),
    ).toEqual(said?.slice(1));
  });

  it('leaves a process that writes no core, gains nothing and shows its memory to nobody', () => {
    expect(getDumpable()).toBe(1);
    setNonDumpable();
    expect(getDumpable()).toBe(0);
    setCoreLimitZero();
    expect(getCoreLimit()).toEqual({ soft: 0, hard: 0 });
    expect(getNoNewPrivileges()).toBe(false);
    setNoNewPrivileges();
    expect(getNoNewPrivileges()).toBe(true);
    expect(readFileSync('/proc/self/status', 'utf8')).toMatch(/NoNewPrivs:\t1\n/);
  });
});

describe('provePeers', () => {
  it('names the child that made the connection, each time, and leaves no descriptor and no child behind', () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    provePeers();
    const before = descriptors();
    for (let at = 0; at < 50; at++) {
      const { child, named } = provePeers();
      expect(named).toBe(child);
      expect(child).not.toBe(process.pid);
      expect(existsSync(`/proc/${child}`)).toBe(false);
    }
    expect(descriptors()).toBe(before);
  });

  it('needs no more of clone() than qemu-user has', () => {
    const child = join(import.meta.dirname, 'emulated-clone-child.ts');
    const { stdout, stderr } = spawnSync(NODE, [child], { encoding: 'utf8' });
    const EINVAL = 22;
    expect(stderr).toBe('');
    expect(stdout).toBe(`-1 ${EINVAL} true\n`);
  });

  it('passes over a stranger that finds the socket and connects first', async () => {
    const spin = String.raw`
      use Socket; $| = 1; $/ = undef; print "ready\n";
      while (getppid() == ${process.pid}) {
        open(my $file, '<', '/proc/net/unix');
        my $table = <$file>;
        while ($table =~ / \@([\s\S]{16})\n/g) {
          socket(my $stranger, AF_UNIX, SOCK_STREAM, 0);
          print "connected\n" if connect($stranger, pack('S a*', AF_UNIX, "\0$1"));
        }
      }`;
    const stranger = spawn('perl', ['-e', spin], { stdio: ['ignore', 'pipe', 'inherit'] });
    let seen = '';
    stranger.stdout.on('data', (chunk) => {
      seen += chunk;
    });
    try {
      await until(() => seen.includes('ready'));
      await until(() => {
        for (let at = 0; at < 20; at++) {
          const { child, named } = provePeers();
          expect(named).toBe(child);
        }
        return seen.split('connected').length > 20;
      });
    } finally {
      stranger.kill('SIGKILL');
    }
  });
});
