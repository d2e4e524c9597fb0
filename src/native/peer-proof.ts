/**
 * Whether SO_PEERCRED names the process at the other end, tried with another process. gVisor of 2022 (Debian's runsc)
 * answers with the credentials of the process that asks: every peer looks like the resolver itself.
 *
 * A connection to a listening socket has the credentials of the process that called listen(). Here that is a child that
 * shares our memory and descriptors, calls listen() and nothing else, and ends, while we wait: as posix_spawn's child
 * does before its exec, and without a program to run, which an image need not have. Nothing is ever accepted on that
 * socket, and its name is random: it is of no use to another process.
 */
import { randomBytes } from 'node:crypto';
import { AF_UNIX, libc, loadKoffi, orThrow, peerCredentials } from './native.ts';

const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const CLONE_VM = 0x100;
const CLONE_FILES = 0x400;
const CLONE_VFORK = 0x4000;
/** For a child that sends no signal when it ends. */
const __WALL = 0x4000_0000;
/** Bytes; listen() needs a few hundred. */
const STACK_BYTES = 64 * 1024;

interface ProofCalls {
  readonly address: (buffer: Buffer) => bigint;
  readonly symbol: (handle: bigint, name: string) => bigint;
  readonly clone: (run: bigint, stackTop: bigint, flags: number, argument: bigint) => number;
  readonly waitpid: (pid: number, status: Buffer, options: number) => number;
  readonly socket: (family: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Buffer, length: number) => number;
  readonly connect: (fd: number, address: Buffer, length: number) => number;
  readonly close: (fd: number) => number;
}

/** The PID of the child, and the one that the kernel names for it. */
export interface PeerProof {
  readonly child: number;
  readonly named: number;
}

export function provePeers(): PeerProof {
  const c = proofCalls();
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0, 0]), randomBytes(16)]);
  const stream = () => orThrow('socket', c.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const fds: number[] = [];
  try {
    const listener = stream();
    fds.push(listener);
    orThrow('bind', c.bind(listener, address, address.length));
    const child = listenInChild(c, listener);
    const client = stream();
    fds.push(client);
    orThrow('connect', c.connect(client, address, address.length));
    return { child, named: peerCredentials(client).pid };
  } finally {
    for (const fd of fds) c.close(fd);
  }
}

/** listen() has a second argument, which is whatever the register holds: the kernel takes any backlog. */
function listenInChild(c: ProofCalls, listener: number): number {
  const stack = Buffer.alloc(STACK_BYTES);
  const top = (c.address(stack) + BigInt(STACK_BYTES)) & ~15n;
  const flags = CLONE_VM | CLONE_FILES | CLONE_VFORK;
  const child = orThrow('clone', c.clone(c.symbol(0n, 'listen'), top, flags, BigInt(listener)));
  orThrow('waitpid', c.waitpid(child, Buffer.alloc(4), __WALL));
  return child;
}

function proofCalls(): ProofCalls {
  libc();
  const koffi = loadKoffi();
  const self = koffi.load(null);
  const declare = <T>(prototype: string): T => self.func(prototype) as T;
  return {
    address: (buffer) => koffi.address(buffer),
    symbol: declare('uint64_t dlsym(uint64_t handle, const char *name)'),
    clone: declare('int clone(uint64_t run, uint64_t stackTop, int flags, uint64_t argument)'),
    waitpid: declare('int waitpid(int pid, _Out_ uint8_t *status, int options)'),
    socket: declare('int socket(int family, int type, int protocol)'),
    bind: declare('int bind(int fd, const uint8_t *address, uint32_t length)'),
    connect: declare('int connect(int fd, const uint8_t *address, uint32_t length)'),
    close: declare('int close(int fd)'),
  };
}
