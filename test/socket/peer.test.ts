/** The kernel's answers, over real sockets and real processes. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseUptime } from '../../src/domain/proc-stat.ts';
import * as native from '../../src/native/native.ts';
import { NativeError, peerCredentials, peerGroups, peerPidFd, pidFdWatch } from '../../src/native/native.ts';
import { PeerAnchor } from '../../src/socket/peer.ts';
import { NODE } from '../support/checkout.ts';
import { until } from '../support/cli.ts';
import { describeAsRoot } from '../support/root.ts';

vi.mock('../../src/native/native.ts', { spy: true });

const fdOf = (socket: Socket) => (socket as unknown as { _handle: { fd: number } })._handle.fd;

let folder: string;
let path: string;
let server: Server;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'msr-peer-'));
  path = join(folder, 's');
  // Half-open: a peer that has ended does not take the descriptor away from under the test.
  server = createServer({ allowHalfOpen: true }).listen(path);
  await once(server, 'listening');
  chmodSync(folder, 0o755);
  chmodSync(path, 0o777);
});

afterEach(() => {
  vi.mocked(native.peerPidFd).mockReset();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function accepted(open: () => void): Promise<Socket> {
  const incoming = once(server, 'connection');
  open();
  const [socket] = (await incoming) as [Socket];
  socket.on('error', () => {});
  return socket;
}

/** A process that connects and does nothing, as this user or another. */
function idleClient(ids: { uid?: number; gid?: number } = {}) {
  return spawn(
    NODE,
    ['-e', `require('node:net').connect(${JSON.stringify(path)}); setInterval(() => {}, 1000)`],
    { stdio: 'ignore', ...ids },
  );
}

/** A process with this PID, which is free, and this UID: the kernel gives out the one after the last. */
function takePid(pid: number, uid: number): number {
  const take = `for _ in $(seq 200); do
    echo ${pid - 1} > /proc/sys/kernel/ns_last_pid
    setpriv --reuid ${uid} --clear-groups sleep 30 > /dev/null 2>&1 &
    if [ $! = ${pid} ]; then until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; exit; fi
    kill -9 $!; wait $!
  done 2> /dev/null; exit 1`;
  execFileSync('bash', ['-c', take]);
  return pid;
}

describe('an anchor', () => {
  it('knows pid, uid, gid, groups and program of the peer', async () => {
    const client = connect(path);
    const socket = await accepted(() => {});
    using anchor = PeerAnchor.identify(fdOf(socket));
    expect(anchor.peer).toMatchObject({ pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
    expect(anchor.peer.groups).toBeInstanceOf(Array);
    expect(anchor.exe()).toBe(realpathSync(process.execPath));
    expect(anchor.fault()).toBe(undefined);
    client.destroy();
    socket.destroy();
  });

  it.each([
    ['by its pidfd', false],
    ['by its start time, where the kernel gives no pidfd', true],
  ])('notices that the peer has ended, %s', async (_how, withoutPidFd) => {
    if (withoutPidFd) vi.mocked(native.peerPidFd).mockReturnValue(undefined);
    let client: ReturnType<typeof idleClient> | undefined;
    const socket = await accepted(() => {
      client = idleClient();
    });
    using anchor = PeerAnchor.identify(fdOf(socket));
    expect(anchor.peer.pid).toBe(client?.pid);
    expect(anchor.fault()).toBe(undefined);
    client?.kill('SIGKILL');
    await until(() => anchor.fault() === 'peer-gone');
    expect(anchor.exe()).toBeUndefined();
    socket.destroy();
  });

  it('that came too late for a start time trusts nobody', async () => {
    vi.mocked(native.peerPidFd).mockReturnValue(undefined);
    let client: ReturnType<typeof idleClient> | undefined;
    const socket = await accepted(() => {
      client = idleClient();
    });
    const credentials = peerCredentials(fdOf(socket));
    client?.kill('SIGKILL');
    await once(client ?? server, 'exit');
    using anchor = PeerAnchor.identify(fdOf(socket), credentials);
    expect(anchor.fault()).toBe('peer-gone');
    socket.destroy();
  });

  it('takes a peer that is dead and not yet buried for gone', async () => {
    vi.mocked(native.peerPidFd).mockReturnValue(undefined);
    // The shell becomes a program that never asks after its children: the client stays a zombie.
    const program = `require('node:net').connect(${JSON.stringify(path)}); setInterval(() => {}, 1000)`;
    let shell: ReturnType<typeof spawn> | undefined;
    const socket = await accepted(() => {
      shell = spawn('sh', ['-c', '"$0" -e "$1" & exec sleep 30', NODE, program], { stdio: 'ignore' });
    });
    using anchor = PeerAnchor.identify(fdOf(socket));
    expect(anchor.fault()).toBe(undefined);
    process.kill(anchor.peer.pid, 'SIGKILL');
    await until(() => readFileSync(`/proc/${anchor.peer.pid}/stat`, 'latin1').includes(') Z '));
    expect(anchor.fault()).toBe('peer-gone');
    shell?.kill('SIGKILL');
    socket.destroy();
  });

  it('of another PID namespace has uid and gid to go by, and no process to hold on to', async () => {
    const client = connect(path);
    const socket = await accepted(() => {});
    // What the kernel says of such a peer; the pod test has the real one.
    using anchor = PeerAnchor.identify(fdOf(socket), { pid: 0, uid: 4, gid: 5 });
    expect(anchor.fault()).toBe(undefined);
    expect(anchor.exe()).toBeUndefined();
    client.destroy();
    socket.destroy();
  });

  it('gives its descriptor back, and trusts nobody afterwards', async () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const client = connect(path);
    const socket = await accepted(() => {});
    const before = descriptors();
    const anchor = PeerAnchor.identify(fdOf(socket));
    anchor[Symbol.dispose]();
    anchor[Symbol.dispose]();
    expect(descriptors()).toBe(before);
    expect(anchor.fault()).toBe('peer-gone');
    client.destroy();
    socket.destroy();
  });

  it('is not possible for what is no Unix socket', () => {
    const file = openSync('/dev/null', 'r');
    expect(() => PeerAnchor.identify(file)).toThrow(NativeError);
    expect(() => PeerAnchor.identify(-1)).toThrow('getsockopt(SO_PEERCRED) failed with errno 9');
    // Only a kernel without the option makes do with the start time.
    expect(() => peerPidFd(-1)).toThrow('getsockopt(SO_PEERPIDFD) failed with errno 9');
    expect(() => peerPidFd(file)).toThrow('getsockopt(SO_PEERPIDFD) failed with errno 88');
    closeSync(file);
    expect(peerGroups(-1)).toBe(undefined);
    expect(() => pidFdWatch(-1)()).not.toThrow();
  });
});

describeAsRoot('an anchor of another UID', () => {
  const script = (after: string) =>
    `require('node:net').connect(${JSON.stringify(path)}); process.stdin.once('data', () => {${after}}); setInterval(() => {}, 1000)`;

  it.each([
    ['a pidfd', false],
    ['its start time alone', true],
  ])('notices that the process, held by %s, takes another', async (_how, withoutPidFd) => {
    if (withoutPidFd) vi.mocked(native.peerPidFd).mockReturnValue(undefined);
    let client: ReturnType<typeof spawn> | undefined;
    const socket = await accepted(() => {
      client = spawn(NODE, ['-e', script('process.seteuid(20001)')], { stdio: ['pipe', 'ignore', 'ignore'] });
    });
    using anchor = PeerAnchor.identify(fdOf(socket));
    expect(anchor.fault()).toBe(undefined);
    client?.stdin?.write('now');
    await until(() => anchor.fault() !== undefined);
    expect(anchor.fault()).toBe('uid-changed');
    client?.kill('SIGKILL');
    socket.destroy();
  });

  it.each([
    // Found before the peer was identified: nothing but its UID shows that it is another.
    ['another UID', 20_001, 'uid-changed'],
    ['the same', 20_002, 'peer-gone'],
  ] as const)(
    'does not take a process that was given the PID of the peer, with %s, for it',
    async (_which, uid, fault) => {
      vi.mocked(native.peerPidFd).mockReturnValue(undefined);
      let client: ReturnType<typeof spawn> | undefined;
      const socket = await accepted(() => {
        client = idleClient({ uid: 20_002 });
      });
      const credentials = peerCredentials(fdOf(socket));
      const acceptedAt = parseUptime(readFileSync('/proc/uptime', 'latin1'));
      // The kernel counts start times in ticks of 10 ms: a successor of the same tick looks like the peer.
      await new Promise((wake) => setTimeout(wake, 20));
      client?.kill('SIGKILL');
      await once(client ?? server, 'exit');
      const successor = takePid(credentials.pid, uid);
      using anchor = PeerAnchor.identify(fdOf(socket), credentials, uid === 20_001 ? undefined : acceptedAt);
      expect(anchor.fault()).toBe(fault);
      process.kill(successor, 'SIGKILL');
      socket.destroy();
    },
  );

  it('has all its groups, however many', async () => {
    const groups = Array.from({ length: 200 }, (_, index) => 30_000 + index);
    let client: ReturnType<typeof spawn> | undefined;
    const socket = await accepted(() => {
      client = spawn(
        'setpriv',
        [
          '--reuid=20001',
          '--regid=20002',
          `--groups=${groups.join(',')}`,
          NODE,
          '-e',
          `require('node:net').connect(${JSON.stringify(path)}); setInterval(() => {}, 1000)`,
        ],
        { stdio: 'ignore' },
      );
    });
    using anchor = PeerAnchor.identify(fdOf(socket));
    expect(anchor.peer).toMatchObject({ uid: 20_001, gid: 20_002 });
    expect([...(anchor.peer.groups ?? [])].sort()).toEqual(groups);
    client?.kill('SIGKILL');
    socket.destroy();
  });
});
