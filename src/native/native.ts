/**
 * The only folder that calls C. Linux only. Works with glibc and musl, because it takes the symbols from the running
 * process and not from a library found by name.
 *
 * Uses koffi instead of `node:ffi`, which is experimental in Node 26 and missing in the supported Node 24. koffi's
 * package contains prebuilt binaries for both C libraries and both architectures, and needs no install script.
 *
 * No buffer here ever holds a secret, except in attacks.ts: they overwrite what they obtain before they return, and only
 * its length leaves that file.
 */
import { createRequire } from 'node:module';
import type { Server, Socket } from 'node:net';
import { constants, endianness } from 'node:os';
import { getSystemErrorName } from 'node:util';

const { EBADF, EINTR, ENOPROTOOPT, ENOTSOCK, ERANGE } = constants.errno;
export const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;
const SO_PEERGROUPS = 59;
const SO_PEERPIDFD = 77;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
const POLLIN = 1;
export const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_GET_NO_NEW_PRIVS = 39;
const RLIMIT_CORE = 4;

type KoffiModule = typeof import('koffi');
/** koffi compares the arguments of each call with the prototype. */
type Declare = <R = number>(prototype: string) => (...args: readonly unknown[]) => R;

/**
 * Loads koffi's addon directly. Its loader searches many places and wraps calls that are not used here, which takes
 * nine tenths of the load time. The loader remains the fallback: on musl, and for other package layouts.
 */
function loadKoffi(): KoffiModule {
  const require = createRequire(import.meta.url);
  try {
    const addon = { exports: {} };
    const folder = `@koromix/koffi-linux-${process.arch}/linux_${process.arch}`;
    process.dlopen(addon, require.resolve(`${folder}/koffi.node`));
    return addon.exports as KoffiModule;
  } catch {
    return require('koffi') as KoffiModule;
  }
}

/** That of the last call. */
let lastErrno = () => 0;

/** Functions of C, declared at first use, so that `--help` and the client library do not pay for it. */
export function functionsOfC<T>(functions: (declare: Declare, koffi: KoffiModule) => T): () => T {
  let declared: T | undefined;
  return () => {
    if (declared !== undefined) return declared;
    if (process.platform !== 'linux' || endianness() !== 'LE') {
      throw new Error('peer credentials are read on little-endian Linux only; run the resolver there');
    }
    const koffi = loadKoffi();
    lastErrno = () => koffi.errno();
    const self = koffi.load(null);
    declared = functions((prototype) => self.func(prototype), koffi);
    return declared;
  };
}

const libc = functionsOfC((declare) => ({
  getsockopt: declare(
    'int getsockopt(int fd, int level, int name, _Inout_ uint8_t *value, _Inout_ uint8_t *length)',
  ),
  getsockname: declare('int getsockname(int fd, _Out_ uint8_t *name, _Inout_ uint8_t *length)'),
  poll: declare('int poll(_Inout_ uint8_t *fds, unsigned long count, int timeout)'),
  prctl: declare('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)'),
  setrlimit: declare('int setrlimit(int resource, uint8_t *limit)'),
  getrlimit: declare('int getrlimit(int resource, _Out_ uint8_t *limit)'),
  mallocTrim: mallocTrim(declare),
}));

/** Undefined where the C library is not glibc. */
function mallocTrim(declare: Declare): ReturnType<Declare> | undefined {
  try {
    return declare('int malloc_trim(size_t pad)');
  } catch {
    return undefined;
  }
}

/** Returns to the kernel what malloc holds and nobody uses. musl does so by itself. */
export function trimMalloc(): void {
  libc().mallocTrim?.(0);
}

export class NativeError extends Error {
  override readonly name = 'NativeError';
  readonly errno: number;
  /** `ESRCH`. */
  readonly code: string;
  constructor(call: string, errno: number) {
    super(`${call} failed with errno ${errno}`);
    this.errno = errno;
    this.code = getSystemErrorName(-errno);
  }
}

export function orThrow(call: string, result: number): number {
  if (result < 0) throw new NativeError(call, lastErrno());
  return result;
}

/** What the kernel recorded about the peer process when it called connect(). */
export interface PeerCredentials {
  /** Process id in our PID namespace; 0 if the peer is in another one. */
  readonly pid: number;
  /** User id in our user namespace; 65534 if it has none there. */
  readonly uid: number;
  /** Primary group id, as above. */
  readonly gid: number;
}

function socketOption(fd: number, name: number, size: number) {
  const c = libc();
  const value = Buffer.alloc(size);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(size);
  const result = c.getsockopt(fd, SOL_SOCKET, name, value, length);
  return { errno: result === 0 ? 0 : lastErrno(), value, length: length.readUInt32LE() };
}

/** SO_PEERCRED of a connected Unix socket. Throws {@link NativeError} if `fd` is not one. */
export function peerCredentials(fd: number): PeerCredentials {
  const { errno, value, length } = socketOption(fd, SO_PEERCRED, 12);
  if (errno !== 0 || length !== 12) throw new NativeError('getsockopt(SO_PEERCRED)', errno);
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}

/** SO_PEERGROUPS: supplementary groups at connect(); undefined if the kernel does not support it (before 4.13). */
export function peerGroups(fd: number): readonly number[] | undefined {
  let attempt = socketOption(fd, SO_PEERGROUPS, 64 * 4);
  // NGROUPS_MAX is 65536; the kernel writes the size it needs when ours is too small.
  if (attempt.errno === ERANGE)
    attempt = socketOption(fd, SO_PEERGROUPS, Math.min(attempt.length, 65536 * 4));
  const { errno, value, length } = attempt;
  return errno === 0 ? Array.from({ length: length / 4 }, (_, at) => value.readUInt32LE(at * 4)) : undefined;
}

/**
 * SO_PEERPIDFD: a descriptor of the peer process itself, immune to pid reuse; undefined where the kernel does not have
 * the option (before 6.5, gVisor). Every other error is thrown: as a rule the peer has ended. The caller closes it.
 */
export function peerPidFd(fd: number): number | undefined {
  const { errno, value, length } = socketOption(fd, SO_PEERPIDFD, 4);
  if (errno === ENOPROTOOPT) return undefined;
  if (errno !== 0 || length !== 4) throw new NativeError('getsockopt(SO_PEERPIDFD)', errno);
  return value.readInt32LE(0);
}

/** Returns a function that says whether the process behind a pidfd has exited, by one poll() that never waits. */
export function pidFdWatch(pidFd: number): () => boolean {
  return pollWatch(pidFd, POLLIN);
}

function pollWatch(fd: number, events: number): () => boolean {
  const c = libc();
  // Allocated once per peer and reused for each call: the kernel writes only the last two bytes.
  const fds = Buffer.alloc(8);
  fds.writeInt32LE(fd, 0);
  fds.writeInt16LE(events, 4);
  return () => {
    let ready: number;
    // A signal, for example SIGHUP, interrupts even a poll() that does not wait.
    do ready = c.poll(fds, 1, 0);
    while (ready < 0 && lastErrno() === EINTR);
    return orThrow('poll', ready) > 0;
  };
}

/** Tells, each time it is called, whether the other end of a connected socket is closed: poll() reports that unasked. */
export function hangUpWatch(fd: number): () => boolean {
  return pollWatch(fd, 0);
}

/** What a socket or server is to libuv. Node shows it nowhere in its documented interface; a test pins it. */
interface Handle {
  readonly fd?: number;
  readonly readStop?: () => void;
  readonly readStart?: () => void;
}

export function libuvHandle(owner: Socket | Server): Handle | undefined {
  return (owner as unknown as { readonly _handle?: Handle | null })._handle ?? undefined;
}

/** -1 where it has none. */
export function descriptorOf(owner: Socket | Server): number {
  return libuvHandle(owner)?.fd ?? -1;
}

/** PR_GET_DUMPABLE: 0 means that no other process of our UID may read our memory, and no core is written. */
export function getDumpable(): number {
  return libc().prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

export function setNonDumpable(): void {
  orThrow('prctl(PR_SET_DUMPABLE)', libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

/** PR_GET_NO_NEW_PRIVS. The kernel shows it in /proc/self/status, too; gVisor does not. */
export function getNoNewPrivileges(): boolean {
  return orThrow('prctl(PR_GET_NO_NEW_PRIVS)', libc().prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) === 1;
}

/** PR_SET_NO_NEW_PRIVS 1: execve can never gain privileges. Cannot be undone. */
export function setNoNewPrivileges(): void {
  orThrow('prctl(PR_SET_NO_NEW_PRIVS)', libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/** RLIMIT_CORE, soft and hard, in bytes; `Infinity` for no limit. */
export function getCoreLimit(): { readonly soft: number; readonly hard: number } {
  const limit = Buffer.alloc(16);
  orThrow('getrlimit(RLIMIT_CORE)', libc().getrlimit(RLIMIT_CORE, limit));
  const read = (at: number) => {
    const raw = limit.readBigUInt64LE(at);
    return raw === 0xffff_ffff_ffff_ffffn ? Number.POSITIVE_INFINITY : Number(raw);
  };
  return { soft: read(0), hard: read(8) };
}

/** RLIMIT_CORE 0, soft and hard: cannot be raised again without privileges. */
export function setCoreLimitZero(): void {
  orThrow('setrlimit(RLIMIT_CORE)', libc().setrlimit(RLIMIT_CORE, Buffer.alloc(16)));
}

/** What one of our descriptors is bound to, according to the kernel. */
export type LocalSocket =
  /** `name` is empty if the socket has none, and begins with a zero byte if it is abstract. */
  | { readonly family: 'unix'; readonly name: string }
  /** `address` in the text form of its family, without brackets. */
  | {
      readonly family: 'inet' | 'inet6';
      readonly address: string;
      readonly port: number;
      readonly listening: boolean;
    }
  | { readonly family: 'other' };

/**
 * getsockname(2) and SO_ACCEPTCONN of one of our own descriptors; undefined if it is closed or not a socket. Unlike
 * /proc/net, the answer holds nothing that another process controls: those tables list every socket of the network
 * namespace, and print names without escaping line breaks.
 */
export function localSocket(fd: number): LocalSocket | undefined {
  const c = libc();
  const name = Buffer.alloc(128);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(name.length);
  if (c.getsockname(fd, name, length) !== 0) {
    const errno = lastErrno();
    if (errno === EBADF || errno === ENOTSOCK) return undefined;
    throw new NativeError('getsockname', errno);
  }
  const used = Math.min(length.readUInt32LE(), name.length);
  const family = name.readUInt16LE(0);
  switch (family) {
    case AF_UNIX:
      return { family: 'unix', name: unixName(name.subarray(2, used)) };
    case AF_INET:
    case AF_INET6:
      return {
        ...(family === AF_INET
          ? { family: 'inet', address: name.subarray(4, 8).join('.') }
          : { family: 'inet6', address: inet6Text(name.subarray(8, 24)) }),
        port: name.readUInt16BE(2),
        listening: isListening(fd),
      };
    default:
      return { family: 'other' };
  }
}

function isListening(fd: number): boolean {
  const { errno, value } = socketOption(fd, SO_ACCEPTCONN, 4);
  if (errno !== 0) throw new NativeError('getsockopt(SO_ACCEPTCONN)', errno);
  return value.readInt32LE(0) !== 0;
}

/** A path ends with a zero byte. An abstract name begins with one and may contain more. */
export function unixName(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end > 0 ? end : bytes.length);
}

function inet6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16));
  return groups.join(':').replace(/(^|:)0(:0)+(:|$)/, '::');
}
