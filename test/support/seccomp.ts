/** A seccomp filter for a process that plays another kernel: a call that it forbids fails with an errno. */
import { createRequire } from 'node:module';

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
const prctl = koffi
  .load(null)
  .func('int prctl(int option, unsigned long a, uint8_t *b, unsigned long c, unsigned long d)');
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;

/** One step of classic BPF: operation, steps to skip if true and if false, operand. */
export type Step = readonly [operation: number, ifTrue: number, ifFalse: number, operand: number];

/** Loads the system call's number, and its first argument. */
export const LOAD_CALL: Step = [0x20, 0, 0, 0];
export const LOAD_ARGUMENT: Step = [0x20, 0, 0, 16];
export const ALLOW: Step = [0x06, 0, 0, 0x7fff_0000];

export function failWith(errno: number): Step {
  return [0x06, 0, 0, 0x0005_0000 + errno];
}

/** Puts the filter in force for the rest of this process, and for its children. */
export function filterCalls(program: readonly Step[]): void {
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
  if (
    prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0) !== 0 ||
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) !== 0
  )
    throw new Error('no seccomp filter');
}
