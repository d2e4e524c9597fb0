/**
 * Proves peers under qemu-user's rule for clone(): the flags of posix_spawn and no others. A seccomp filter keeps the rule, so
 * that no emulator is needed. Prints the result and errno of a forbidden call, then whether the proof held.
 */
import { createRequire } from 'node:module';
import { provePeers } from '../../src/native/peer-proof.ts';

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const self = koffi.load(null);
const prctl = self.func(
  'int prctl(int option, unsigned long a, uint8_t *b, unsigned long c, unsigned long d)',
);
const syscall = self.func('long syscall(long number, long flags, long stack)');
const SYS_CLONE = process.arch === 'arm64' ? 220 : 56;
const CLONE_VFORK = 0x4000;
const CLONE_FILES = 0x400;
const POSIX_SPAWN = 0x4111;
const EINVAL = 22;
const program = [
  [0x20, 0, 0, 0],
  [0x15, 0, 4, SYS_CLONE],
  [0x20, 0, 0, 16],
  [0x45, 0, 2, CLONE_VFORK],
  [0x15, 1, 0, POSIX_SPAWN],
  [0x06, 0, 0, 0x0005_0000 + EINVAL],
  [0x06, 0, 0, 0x7fff_0000],
] as const;
const code = Buffer.alloc(program.length * 8);
for (const [at, [operation, ifTrue, ifFalse, operand]] of program.entries()) {
  code.writeUInt16LE(operation, at * 8);
  code.writeUInt8(ifTrue, at * 8 + 2);
  code.writeUInt8(ifFalse, at * 8 + 3);
  code.writeUInt32LE(operand, at * 8 + 4);
}
const header = Buffer.alloc(16);
header.writeUInt16LE(program.length, 0);
header.writeBigUInt64LE(koffi.address(code), 8);
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
if (prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0) !== 0 || prctl(PR_SET_SECCOMP, 2, header, 0, 0) !== 0)
  throw new Error('no seccomp filter');

const forbidden = syscall(SYS_CLONE, POSIX_SPAWN | CLONE_FILES, 0);
const errno = koffi.errno();
const { child, named } = provePeers();
process.stdout.write(`${forbidden} ${errno} ${child !== process.pid && child === named}\n`);
