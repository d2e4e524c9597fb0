/**
 * Opens the responder at [::] in a process for which the kernel has no IPv6, as with `ipv6.disable=1`: a seccomp filter answers
 * socket(AF_INET6) with EAFNOSUPPORT. Prints the address that it listens on and the status of /livez.
 */
import { createRequire } from 'node:module';
import { localSocket } from '../../src/native/native.ts';
import { healthRoutes, Responder } from '../../src/observe/responder.ts';
import { openDescriptors } from '../support/descriptors.ts';

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const prctl = koffi
  .load(null)
  .func('int prctl(int option, unsigned long a, uint8_t *b, unsigned long c, unsigned long d)');
const SYS_SOCKET = process.arch === 'arm64' ? 198 : 41;
const AF_INET6 = 10;
const EAFNOSUPPORT = 97;
const program = [
  [0x20, 0, 0, 0],
  [0x15, 0, 3, SYS_SOCKET],
  [0x20, 0, 0, 16],
  [0x15, 0, 1, AF_INET6],
  [0x06, 0, 0, 0x0005_0000 + EAFNOSUPPORT],
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

const port = Number(process.argv[2]);
const responder = await Responder.open(
  'health.listen',
  { host: '::', port },
  healthRoutes(() => true),
);
const bound = openDescriptors()
  .map((fd) => localSocket(Number.parseInt(fd, 10)))
  .find((socket) => socket?.family === 'inet' && socket.listening);
const { status } = await fetch(`http://127.0.0.1:${port}/livez`);
process.stdout.write(`${bound?.family === 'inet' ? bound.address : 'none'} ${status}\n`);
await responder[Symbol.asyncDispose]();
