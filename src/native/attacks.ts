/**
 * Attacks. `secret-resolver self-test` makes these calls as the agent, and expects the kernel to refuse each of them.
 * A call that succeeds is undone before the function returns.
 */
import { AF_UNIX, functionsOfC, orThrow, unixName } from './native.ts';

const PTRACE_DETACH = 17;
const PTRACE_SEIZE = 0x4206;
const PTRACE_INTERRUPT = 0x4207;
const WAIT_FOR_TRACEE = 0x4000_0001; // __WALL | WNOHANG
const AT_FDCWD = -100;
const RENAME_EXCHANGE = 2;
const MS_BIND = 4096;
const MNT_DETACH = 2;

/** Numbers of the system calls made without a wrapper, by architecture. */
export const SYSTEM_CALLS = {
  x64: { renameat2: 316, pidfd_open: 434, pidfd_getfd: 438 },
  arm64: { renameat2: 276, pidfd_open: 434, pidfd_getfd: 438 },
} as const;

function systemCall(name: keyof (typeof SYSTEM_CALLS)['x64']): number {
  const { arch } = process;
  if (arch !== 'x64' && arch !== 'arm64') throw new Error(`the number of ${name} on ${arch} is unknown`);
  return SYSTEM_CALLS[arch][name];
}

const attackCalls = functionsOfC((declare, koffi) => ({
  address: (buffer: Buffer) => koffi.address(buffer),
  ptrace: declare('long ptrace(long request, long pid, unsigned long address, unsigned long data)'),
  waitpid: declare('int waitpid(int pid, _Out_ uint8_t *status, int options)'),
  processVmReadv: declare(
    'long process_vm_readv(int pid, uint8_t *local, unsigned long n, uint8_t *remote, unsigned long m, unsigned long flags)',
  ),
  /** For calls without a wrapper in musl or an older glibc. */
  syscall: declare('long syscall(long number, long a, long b, long c, long d, long e)'),
  renameat2: declare(
    'long syscall(long number, long oldAt, const char *oldPath, long newAt, const char *newPath, long flags)',
  ),
  mount: declare(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
  ),
  umount2: declare('int umount2(const char *target, int flags)'),
  getpeername: declare('int getpeername(int fd, _Out_ uint8_t *name, _Inout_ uint8_t *length)'),
}));

/**
 * Attaches to a process as a debugger does, and detaches again. Uses PTRACE_SEIZE, which needs the same permission as
 * PTRACE_ATTACH but does not stop the target. If the detach fails, the kernel detaches when this process exits.
 */
export function traceAndRelease(pid: number): void {
  const c = attackCalls();
  orThrow('ptrace(PTRACE_SEIZE)', c.ptrace(PTRACE_SEIZE, pid, 0, 0));
  if (c.ptrace(PTRACE_INTERRUPT, pid, 0, 0) !== 0) return;
  const status = Buffer.alloc(4);
  const idle = new Int32Array(new SharedArrayBuffer(4));
  for (let waits = 0; waits < 100 && c.waitpid(pid, status, WAIT_FOR_TRACEE) === 0; waits++) {
    Atomics.wait(idle, 0, 0, 2);
  }
  c.ptrace(PTRACE_DETACH, pid, 0, 0);
}

/** Reads up to 4096 bytes of another process's memory and overwrites them. Returns the number of bytes read. */
export function readProcessMemory(pid: number, address: bigint, length: number): number {
  const c = attackCalls();
  const bytes = Buffer.alloc(4096);
  const vector = (base: bigint) => {
    const iovec = Buffer.alloc(16);
    iovec.writeBigUInt64LE(base, 0);
    iovec.writeBigUInt64LE(BigInt(Math.min(length, bytes.length)), 8);
    return iovec;
  };
  try {
    const read = c.processVmReadv(pid, vector(c.address(bytes)), 1, vector(address), 1, 0);
    return orThrow('process_vm_readv', read);
  } finally {
    bytes.fill(0);
  }
}

/** pidfd_open(2). The caller closes the descriptor. */
export function openPidFd(pid: number): number {
  return orThrow('pidfd_open', attackCalls().syscall(systemCall('pidfd_open'), pid, 0, 0, 0, 0));
}

/** pidfd_getfd(2): a copy of descriptor `fd` of the process behind `pidFd`. The caller closes it. */
export function copyForeignDescriptor(pidFd: number, fd: number): number {
  return orThrow('pidfd_getfd', attackCalls().syscall(systemCall('pidfd_getfd'), pidFd, fd, 0, 0, 0));
}

/** renameat2(2) with RENAME_EXCHANGE: both names exist throughout, and their files are swapped. */
export function exchangeNames(a: string, b: string): void {
  orThrow(
    'renameat2(RENAME_EXCHANGE)',
    attackCalls().renameat2(systemCall('renameat2'), AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE),
  );
}

/** Bind-mounts a path over itself, which hides nothing, then unmounts it. */
export function bindOverItself(path: string): void {
  const c = attackCalls();
  orThrow('mount(MS_BIND)', c.mount(path, path, null, MS_BIND, null));
  orThrow('umount2', c.umount2(path, MNT_DETACH));
}

/** Path of the peer's Unix socket; empty if it has none. Throws {@link NativeError} if `fd` is not a connected socket. */
export function unixPeerPath(fd: number): string {
  const name = Buffer.alloc(128);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(name.length);
  orThrow('getpeername', attackCalls().getpeername(fd, name, length));
  const used = Math.min(length.readUInt32LE(), name.length);
  return name.readUInt16LE(0) === AF_UNIX ? unixName(name.subarray(2, used)) : '';
}
