/**
 * Whether SO_PEERCRED names the process at the other end, tried with another process. gVisor of 2022 (Debian's runsc)
 * answers with the credentials of the process that asks: every peer looks like the resolver itself.
 *
 * A child connects, and this process accepts, as with a caller. The child shares our memory, makes that one call, and
 * ends, while we wait: as posix_spawn's child does before its exec, and without a program to run, which an
 * image need not have. clone() starts a function of one argument, and connect() has three: so the child flushes a stream
 * that has connect() for its write function, the descriptor as its cookie, and the address in its buffer.
 *
 * The agent may find the socket's name in /proc/net/unix and connect, too. Nothing is read from its connection, which is
 * passed over: its PID is not the child's.
 */
import { randomBytes } from 'node:crypto';
import { AF_UNIX, functionsOfC, orThrow, peerCredentials, SOCK_CLOEXEC, SOCK_NONBLOCK } from './native.ts';

const SOCK_STREAM = 1;
const CLONE_VM = 0x100;
const CLONE_VFORK = 0x4000;
const SIGCHLD = 17;
/** Connections: more than a stranger makes between listen() and the child's connect(). */
const BACKLOG = 4096;
/** Bytes; the flush needs about a thousand. */
const STACK_BYTES = 64 * 1024;

const proofCalls = functionsOfC((declare, koffi) => {
  const pointer = 'uint64_t';
  koffi.struct('CookieCalls', { read: pointer, write: pointer, seek: pointer, close: pointer });
  return {
    address: (buffer: Buffer) => koffi.address(buffer),
    symbol: declare<bigint>('uint64_t dlsym(uint64_t handle, const char *name)'),
    clone: declare('int clone(uint64_t run, uint64_t stackTop, int flags, uint64_t argument)'),
    waitpid: declare('int waitpid(int pid, _Out_ uint8_t *status, int options)'),
    socket: declare('int socket(int family, int type, int protocol)'),
    bind: declare('int bind(int fd, const uint8_t *address, uint32_t length)'),
    listen: declare('int listen(int fd, int backlog)'),
    accept: declare('int accept4(int fd, uint64_t address, uint64_t length, int flags)'),
    close: declare('int close(int fd)'),
    fopencookie: declare<bigint>(
      'uint64_t fopencookie(uint64_t cookie, const char *mode, CookieCalls calls)',
    ),
    fwrite: declare('size_t fwrite(const uint8_t *bytes, size_t size, size_t count, uint64_t stream)'),
    fclose: declare('int fclose(uint64_t stream)'),
  };
});

/** The PID of the child, and the one that the kernel names for it. */
export interface PeerProof {
  readonly child: number;
  readonly named: number;
}

export function provePeers(): PeerProof {
  const c = proofCalls();
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0, 0]), randomBytes(16)]);
  const fds: number[] = [];
  const stream = () => {
    const fd = orThrow('socket', c.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    fds.push(fd);
    return fd;
  };
  let connector: bigint | undefined;
  try {
    const listener = stream();
    const calls = { read: 0n, write: c.symbol(0n, 'connect'), seek: 0n, close: 0n };
    connector = c.fopencookie(BigInt(stream()), 'w', calls);
    c.fwrite(address, 1, address.length, connector);
    orThrow('bind', c.bind(listener, address, address.length));
    orThrow('listen', c.listen(listener, BACKLOG));
    const child = flushInChild(c, connector);
    let named = acceptOne(c, listener);
    for (let strangers = 0; named !== child && named !== process.pid && strangers < BACKLOG; strangers++)
      named = acceptOne(c, listener);
    return { child, named };
  } finally {
    // Flushes again, while its descriptor is still its own.
    if (connector !== undefined) c.fclose(connector);
    for (const fd of fds) c.close(fd);
  }
}

/** The PID of the peer that connected next. */
function acceptOne(c: ReturnType<typeof proofCalls>, listener: number): number {
  const fd = orThrow('accept4', c.accept(listener, 0n, 0n, SOCK_CLOEXEC));
  try {
    return peerCredentials(fd).pid;
  } finally {
    c.close(fd);
  }
}

function flushInChild(c: ReturnType<typeof proofCalls>, connector: bigint): number {
  const stack = Buffer.alloc(STACK_BYTES);
  const top = (c.address(stack) + BigInt(STACK_BYTES)) & ~15n;
  // These of posix_spawn and no others: qemu-user refuses them, and it makes a fork of them, which does not wait.
  const flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
  const child = orThrow('clone', c.clone(c.symbol(0n, 'fflush'), top, flags, connector));
  orThrow('waitpid', c.waitpid(child, Buffer.alloc(4), 0));
  return child;
}
