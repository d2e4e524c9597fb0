/** What Node lacks for a TCP port with two queues: see observe/responder.ts. Nothing here needs a privilege. */
import { functionsOfC, SOCK_CLOEXEC, SOCK_NONBLOCK, SOL_SOCKET } from './native.ts';

const SO_RCVBUF = 8;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const F_DUPFD_CLOEXEC = 1030;

const LOAD_WORD = 0x20;
const AND = 0x54;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
/** Offset of the network header, from which a source address is read. */
const NETWORK_HEADER = 0xfff0_0000;
/** Index of the interface that the packet arrived on; the loopback interface is always 1. */
const INTERFACE_INDEX = 0xffff_f008;
const LOOPBACK_INTERFACE = 1;
const FIRST = 0;
const SECOND = 1;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

const calls = functionsOfC((declare, koffi) => ({
  setsockopt: declare('int setsockopt(int fd, int level, int name, uint8_t *value, unsigned int length)'),
  accept4: declare('int accept4(int fd, void *address, void *length, int flags)'),
  fcntl: declare('int fcntl(int fd, int command, long argument)'),
  address: (buffer: Buffer) => koffi.address(buffer),
}));

/** A second descriptor of the same socket; undefined where there is none. The caller closes it. */
export function duplicate(fd: number): number | undefined {
  return orUndefined(calls().fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

/** The descriptor of one connection that waits at a listening socket; undefined where none does. The caller closes it. */
export function acceptOne(fd: number): number | undefined {
  return orUndefined(calls().accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

function orUndefined(fd: number): number | undefined {
  return fd < 0 ? undefined : fd;
}

/** Bytes that the kernel holds of a connection until they are read. Accepted sockets inherit it; the kernel doubles it. */
export function setReceiveBuffer(fd: number, bytes: number): void {
  const value = Buffer.alloc(4);
  value.writeUInt32LE(bytes);
  calls().setsockopt(fd, SOL_SOCKET, SO_RCVBUF, value, value.length);
}

/**
 * Steers new connections among two sockets that share a port by SO_REUSEPORT, of which `fd` is one. The first that
 * listened gets what arrives on the loopback interface, which is everything from our own network namespace, and what
 * comes from the prefixes in `slow`, of 4, 8 or 16 bytes; the second gets the rest. False where the kernel cannot (gVisor).
 */
export function steer(fd: number, slow: 'all' | readonly Buffer[]): boolean {
  const program: readonly Instruction[] =
    slow === 'all'
      ? [[RETURN, 0, 0, FIRST]]
      : [
          [LOAD_WORD, 0, 0, INTERFACE_INDEX],
          [JUMP_IF_EQUAL, 0, 1, LOOPBACK_INTERFACE],
          [RETURN, 0, 0, FIRST],
          ...slow.flatMap(toFirst),
          [RETURN, 0, 0, SECOND],
        ];
  const words = program.flatMap(([code, ifTrue, ifFalse, operand]) => [
    code | (ifTrue << 16) | (ifFalse << 24),
    operand,
  ]);
  const code = Buffer.from(Uint32Array.from(words).buffer);
  const header = Buffer.alloc(16);
  header.writeUInt16LE(program.length, 0);
  header.writeBigUInt64LE(calls().address(code), 8);
  return calls().setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, header, header.length) === 0;
}

/** Falls through to what comes next unless IP version and source address fit. */
function toFirst(prefix: Buffer): Instruction[] {
  const [version, source] = prefix.length === 4 ? [0x4000_0000, 12] : [0x6000_0000, 8];
  const words = Array.from({ length: prefix.length / 4 }, (_, at) => prefix.readUInt32BE(at * 4));
  const rest = 2 * words.length + 1;
  return [
    [LOAD_WORD, 0, 0, NETWORK_HEADER],
    [AND, 0, 0, 0xf000_0000],
    [JUMP_IF_EQUAL, 0, rest, version],
    ...words.flatMap((word, at): Instruction[] => [
      [LOAD_WORD, 0, 0, NETWORK_HEADER + source + at * 4],
      [JUMP_IF_EQUAL, 0, rest - 2 * (at + 1), word],
    ]),
    [RETURN, 0, 0, FIRST],
  ];
}
