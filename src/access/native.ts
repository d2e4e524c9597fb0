/**
 * The only file that calls C. Linux only; the same on glibc and musl, because the symbols are taken from the
 * running process and not from a library found by name.
 *
 * koffi and not Node's own `node:ffi`: the latter is experimental in Node 26 and absent in 24, which we
 * support; koffi ships prebuilt binaries for both C libraries and both architectures inside its package, and
 * needs no install script.
 *
 * Nothing here ever gets a buffer with a secret in it.
 */
import { createRequire } from 'node:module';
import { endianness } from 'node:os';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
const SO_PEERPIDFD = 77;
const POLLIN = 1;
const ERANGE = 34;
const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;
const RLIMIT_CORE = 4;

type KoffiModule = typeof import('koffi');

interface Libc {
  readonly errno: () => number;
  readonly getsockopt: (fd: number, level: number, name: number, value: Buffer, length: Buffer) => number;
  readonly poll: (fds: Buffer, count: number, timeoutMs: number) => number;
  readonly prctl: (option: number, a: number, b: number, c: number, d: number) => number;
  readonly setrlimit: (resource: number, limit: Buffer) => number;
  readonly getrlimit: (resource: number, limit: Buffer) => number;
}

let loaded: Libc | undefined;

/** Loads the symbols at first use: `--help` and the client library never pay for it. */
function libc(): Libc {
  if (loaded !== undefined) return loaded;
  if (process.platform !== 'linux' || endianness() !== 'LE') {
    throw new Error('peer credentials are read on little-endian Linux only; run the resolver there');
  }
  const koffi = createRequire(import.meta.url)('koffi') as KoffiModule;
  const self = koffi.load(null);
  loaded = {
    errno: () => koffi.errno(),
    getsockopt: self.func(
      'int getsockopt(int fd, int level, int name, _Inout_ uint8_t *value, _Inout_ uint8_t *length)',
    ) as Libc['getsockopt'],
    poll: self.func('int poll(_Inout_ uint8_t *fds, unsigned long count, int timeout)') as Libc['poll'],
    prctl: self.func(
      'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
    ) as Libc['prctl'],
    setrlimit: self.func('int setrlimit(int resource, uint8_t *limit)') as Libc['setrlimit'],
    getrlimit: self.func('int getrlimit(int resource, _Out_ uint8_t *limit)') as Libc['getrlimit'],
  };
  return loaded;
}

/** A libc call that failed. */
export class NativeError extends Error {
  override readonly name = 'NativeError';
  readonly errno: number;
  constructor(call: string, errno: number) {
    super(`${call} failed with errno ${errno}`);
    this.errno = errno;
  }
}

/** What the kernel recorded of the process at the other end when it called connect(). */
export interface PeerCredentials {
  /** Process id in our PID namespace; 0 where the peer lives in another one. */
  readonly pid: number;
  /** User id in our user namespace; 65534 where it has none there. */
  readonly uid: number;
  /** Primary group id, as above. */
  readonly gid: number;
}

function socketOption(
  fd: number,
  name: number,
  size: number,
): { errno: number; value: Buffer; length: number } {
  const c = libc();
  const value = Buffer.alloc(size);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(size);
  const result = c.getsockopt(fd, SOL_SOCKET, name, value, length);
  return { errno: result === 0 ? 0 : c.errno(), value, length: length.readUInt32LE() };
}

/** SO_PEERCRED of a connected Unix socket. Throws {@link NativeError} where `fd` is none. */
export function peerCredentials(fd: number): PeerCredentials {
  const { errno, value, length } = socketOption(fd, SO_PEERCRED, 12);
  if (errno !== 0 || length !== 12) throw new NativeError('getsockopt(SO_PEERCRED)', errno);
  return { pid: value.readInt32LE(0), uid: value.readUInt32LE(4), gid: value.readUInt32LE(8) };
}

/** SO_PEERGROUPS: supplementary groups at connect(), or undefined where the kernel does not tell (before 4.13). */
export function peerGroups(fd: number): readonly number[] | undefined {
  let attempt = socketOption(fd, SO_PEERGROUPS, 64 * 4);
  // NGROUPS_MAX is 65536; the kernel writes the size it needs when ours is too small.
  if (attempt.errno === ERANGE)
    attempt = socketOption(fd, SO_PEERGROUPS, Math.min(attempt.length, 65536 * 4));
  if (attempt.errno !== 0) return undefined;
  const groups: number[] = [];
  for (let at = 0; at < attempt.length; at += 4) groups.push(attempt.value.readUInt32LE(at));
  return groups;
}

/**
 * SO_PEERPIDFD: a descriptor of the peer process itself, immune to pid reuse; undefined where the kernel has
 * none to give (before 6.5, or a peer outside our PID namespace). The caller closes it.
 */
export function peerPidFd(fd: number): number | undefined {
  const { errno, value, length } = socketOption(fd, SO_PEERPIDFD, 4);
  return errno === 0 && length === 4 ? value.readInt32LE(0) : undefined;
}

/** Whether the process behind a pidfd has ended. One poll() that never waits. */
export function pidFdExited(pidFd: number): boolean {
  const c = libc();
  const fds = Buffer.alloc(8);
  fds.writeInt32LE(pidFd, 0);
  fds.writeInt16LE(POLLIN, 4);
  const ready = c.poll(fds, 1, 0);
  if (ready < 0) throw new NativeError('poll', c.errno());
  return ready > 0;
}

/** PR_GET_DUMPABLE: 0 means that no other process of our UID may read our memory, and no core is written. */
export function getDumpable(): number {
  return libc().prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

/** PR_SET_DUMPABLE 0. */
export function setNonDumpable(): void {
  const c = libc();
  if (c.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) !== 0) throw new NativeError('prctl(PR_SET_DUMPABLE)', c.errno());
}

/** PR_SET_NO_NEW_PRIVS 1: an execve of ours can never gain privileges. Cannot be taken back. */
export function setNoNewPrivileges(): void {
  const c = libc();
  if (c.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) {
    throw new NativeError('prctl(PR_SET_NO_NEW_PRIVS)', c.errno());
  }
}

/** RLIMIT_CORE, soft and hard, in bytes; `Infinity` for no limit. */
export function getCoreLimit(): { readonly soft: number; readonly hard: number } {
  const c = libc();
  const limit = Buffer.alloc(16);
  if (c.getrlimit(RLIMIT_CORE, limit) !== 0) throw new NativeError('getrlimit(RLIMIT_CORE)', c.errno());
  const read = (at: number) => {
    const raw = limit.readBigUInt64LE(at);
    return raw === 0xffff_ffff_ffff_ffffn ? Number.POSITIVE_INFINITY : Number(raw);
  };
  return { soft: read(0), hard: read(8) };
}

/** RLIMIT_CORE 0, soft and hard: cannot be raised again without privileges. */
export function setCoreLimitZero(): void {
  const c = libc();
  if (c.setrlimit(RLIMIT_CORE, Buffer.alloc(16)) !== 0)
    throw new NativeError('setrlimit(RLIMIT_CORE)', c.errno());
}
