/**
 * Opens the responder at [::] in a process for which the kernel has no IPv6, as with `ipv6.disable=1`: a seccomp filter answers
 * socket(AF_INET6) with EAFNOSUPPORT. Prints the address that it listens on and the status of /livez.
 */
import { localSocket } from '../../src/native/native.ts';
import { healthRoutes, Responder } from '../../src/observe/responder.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { ALLOW, failWith, filterCalls, LOAD_ARGUMENT, LOAD_CALL } from '../support/seccomp.ts';

const SYS_SOCKET = process.arch === 'arm64' ? 198 : 41;
const AF_INET6 = 10;
const EAFNOSUPPORT = 97;
filterCalls([
  LOAD_CALL,
  [0x15, 0, 3, SYS_SOCKET],
  LOAD_ARGUMENT,
  [0x15, 0, 1, AF_INET6],
  failWith(EAFNOSUPPORT),
  ALLOW,
]);

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
