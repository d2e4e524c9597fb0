/**
 * What a container runtime does to a process before it starts it, and Debian has no command for: installs a
 * seccomp filter, leaves a socket open for it, or is gVisor. Then becomes the program, by execve.
 *
 *   node launcher.ts '{"seccomp":"allow","inherit":"tcp"}' program argument…
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, type Server } from 'node:net';
import { arch } from 'node:os';

interface Options {
  /** `allow` filters nothing; `stubborn` refuses every system call by which a process hardens itself. */
  readonly seccomp: 'none' | 'allow' | 'stubborn';
  readonly inherit?: 'tcp' | 'abstract' | undefined;
  readonly runtime?: 'gvisor' | undefined;
}

const [options, program, ...args] = process.argv.slice(2);
if (options === undefined || program === undefined) throw new Error('launcher: nothing to start');
const { seccomp, inherit, runtime } = JSON.parse(options) as Options;

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const libc = koffi.load(null);
koffi.struct('sock_fprog', { len: 'uint16_t', filter: 'const uint8_t *' });
const prctl = libc.func('int prctl(int, unsigned long, const sock_fprog *, unsigned long, unsigned long)');
const fcntl = libc.func('int fcntl(int fd, int command, int argument)');

if (inherit !== undefined) {
  const server: Server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (inherit === 'tcp') server.listen(0, '127.0.0.1', resolve);
    else server.listen('\0secret-resolver-test', resolve);
  });
  const handle = (server as unknown as { _handle: { fd: number } })._handle;
  const F_SETFD = 2;
  if (fcntl(handle.fd, F_SETFD, 0) !== 0) throw new Error('launcher: fcntl failed');
}
if (runtime === 'gvisor') playGvisor();
if (seccomp !== 'none') installFilter(seccomp === 'stubborn', runtime === 'gvisor');
process.execve?.(program, [program, ...args], process.env as Record<string, string>);

/**
 * What a truthful gVisor shows of a process and a machine (release-20260817): its version, a status without NoNewPrivs,
 * signals and NSpid, `Seccomp: 0`, and a Secret behind its gofer. setpriv will have become the resolver by then.
 */
function playGvisor(): void {
  const mount = libc.func('int mount(const char *, const char *, const char *, unsigned long, const char *)');
  const MS_BIND = 4096;
  const show = (name: string, path: string, text: string) => {
    const source = `pod/run/${name}`;
    writeFileSync(source, text);
    if (mount(source, path, null, MS_BIND, null) !== 0)
      throw new Error(`launcher: mount over ${path} failed`);
  };
  const uid = args[args.indexOf('--reuid') + 1];
  const lines = {
    Name: 'node',
    State: 'R (running)',
    Tgid: process.pid,
    Pid: process.pid,
    PPid: process.ppid,
    TracerPid: 0,
    Uid: Array(4).fill(uid).join('\t'),
    Gid: Array(4).fill(uid).join('\t'),
    FDSize: 4,
    Groups: ' ',
    VmSize: '650000 kB',
    VmRSS: '60000 kB',
    VmData: '90000 kB',
    Threads: 11,
    ...Object.fromEntries(['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((set) => [`Cap${set}`, '0'.repeat(16)])),
    Seccomp: 0,
    Mems_allowed: 1,
    Mems_allowed_list: 0,
  };
  const status = Object.entries(lines).map(([name, value]) => `${name}:\t${value}\n`);
  show('version', '/proc/version', 'Linux version 4.19.0-gvisor #1 SMP Sun Jan 10 15:06:54 PST 2016\n');
  show('status', `/proc/${process.pid}/status`, status.join(''));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const gofer = mounts.map((line) =>
    line.includes('/secrets/') ? line.replace(' - tmpfs ', ' - 9p ') : line,
  );
  show('mountinfo', `/proc/${process.pid}/mountinfo`, gofer.join('\n'));
}

function installFilter(stubborn: boolean, withoutPeerOptions: boolean): void {
  const x64 = arch() === 'x64';
  const call = x64
    ? { prctl: 157, setrlimit: 160, prlimit64: 302, getsockopt: 55 }
    : { prctl: 167, setrlimit: 164, prlimit64: 261, getsockopt: 209 };
  const LOAD = 0x20;
  const JUMP_EQUAL = 0x15;
  const RETURN = 0x06;
  const ALLOW = 0x7fff0000;
  const REFUSE = 0x00050001; // errno 1, EPERM
  const NO_OPTION = 0x0005005c; // errno 92, ENOPROTOOPT
  const FIRST_ARGUMENT = 16;
  const SECOND_ARGUMENT = 24;
  const THIRD_ARGUMENT = 32;
  const refuse = (nr: number) => [
    [JUMP_EQUAL, 0, 1, nr],
    [RETURN, 0, 0, REFUSE],
  ];
  const program = [
    [LOAD, 0, 0, 0],
    ...(stubborn ? refuse(call.setrlimit) : []),
    ...(stubborn
      ? [
          // prlimit64 with RLIMIT_CORE (4) as its second argument and a new limit as its third
          [JUMP_EQUAL, 0, 6, call.prlimit64],
          [LOAD, 0, 0, SECOND_ARGUMENT],
          [JUMP_EQUAL, 0, 3, 4],
          [LOAD, 0, 0, THIRD_ARGUMENT],
          [JUMP_EQUAL, 1, 0, 0],
          [RETURN, 0, 0, REFUSE],
          [LOAD, 0, 0, 0],
          // prctl with PR_SET_DUMPABLE (4) or PR_SET_NO_NEW_PRIVS (38) as its first
          [JUMP_EQUAL, 0, 5, call.prctl],
          [LOAD, 0, 0, FIRST_ARGUMENT],
          ...refuse(4),
          ...refuse(38),
        ]
      : []),
    ...(withoutPeerOptions
      ? [
          // getsockopt with SO_PEERPIDFD or SO_PEERGROUPS as its third
          [JUMP_EQUAL, 0, 5, call.getsockopt],
          [LOAD, 0, 0, THIRD_ARGUMENT],
          [JUMP_EQUAL, 0, 1, 77],
          [RETURN, 0, 0, NO_OPTION],
          [JUMP_EQUAL, 0, 1, 59],
          [RETURN, 0, 0, NO_OPTION],
        ]
      : []),
    [RETURN, 0, 0, ALLOW],
  ];
  const instructions = Buffer.alloc(program.length * 8);
  program.forEach(([code = 0, yes = 0, no = 0, value = 0], at) => {
    instructions.writeUInt16LE(code, at * 8);
    instructions.writeUInt8(yes, at * 8 + 2);
    instructions.writeUInt8(no, at * 8 + 3);
    instructions.writeUInt32LE(value, at * 8 + 4);
  });
  const PR_SET_SECCOMP = 22;
  const SECCOMP_MODE_FILTER = 2;
  const filter = { len: program.length, filter: instructions };
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0) !== 0) {
    throw new Error(`launcher: prctl(PR_SET_SECCOMP) failed with errno ${koffi.errno()}`);
  }
}
