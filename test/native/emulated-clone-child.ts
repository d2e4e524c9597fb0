/**
 * Proves peers under qemu-user's rule for clone(): the flags of posix_spawn and no others. A seccomp filter keeps the rule, so
 * that no emulator is needed. Prints the result and errno of a forbidden call, then whether the proof held.
 */
import { createRequire } from 'node:module';
import { provePeers } from '../../src/native/peer-proof.ts';
import { ALLOW, failWith, filterCalls, LOAD_ARGUMENT, LOAD_CALL } from '../support/seccomp.ts';

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const syscall = koffi.load(null).func('long syscall(long number, long flags, long stack)');
const SYS_CLONE = process.arch === 'arm64' ? 220 : 56;
const CLONE_VFORK = 0x4000;
const CLONE_FILES = 0x400;
const POSIX_SPAWN = 0x4111;
const EINVAL = 22;
filterCalls([
  LOAD_CALL,
  [0x15, 0, 4, SYS_CLONE],
  LOAD_ARGUMENT,
  [0x45, 0, 2, CLONE_VFORK],
  [0x15, 1, 0, POSIX_SPAWN],
  failWith(EINVAL),
  ALLOW,
]);

const forbidden = syscall(SYS_CLONE, POSIX_SPAWN | CLONE_FILES, 0);
const errno = koffi.errno();
const { child, named } = provePeers();
process.stdout.write(`${forbidden} ${errno} ${child !== process.pid && child === named}\n`);
