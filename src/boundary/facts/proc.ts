/** Parsers for the text of /proc. Pure; each takes what the kernel wrote and throws nothing on odd input. */
import { printable } from '../../domain/printable.ts';
import { statFields } from '../../domain/proc-stat.ts';

/** Names of the capabilities by their bits, from linux/capability.h: eight in a line. */
const CAPABILITY_NAMES = `
  CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID
  SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER
  SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
  SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
  MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
  CHECKPOINT_RESTORE`
  .trim()
  .split(/\s+/);

/** The capability sets of a task, by name without the `CAP_` in front. */
export interface CapabilitySets {
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  readonly inheritable: readonly string[];
  readonly ambient: readonly string[];
  readonly bounding: readonly string[];
}

/** One task as /proc/<pid>/status tells it. */
export interface TaskStatus {
  /** Name of the main thread; the process chooses it itself, so it identifies nobody. */
  readonly name: string;
  readonly zombie: boolean;
  readonly parent: number;
  /** Real, effective, saved and file-system UID, as seen from our user namespace. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  readonly threads: number;
  readonly capabilities: CapabilitySets;
  /** Undefined where the kernel does not show it: gVisor. */
  readonly noNewPrivileges: boolean | undefined;
  /** 0 none, 1 strict, 2 filter. */
  readonly seccomp: number;
  /** Whether the task has a handler for SIGUSR1. */
  readonly catchesUsr1: boolean;
  /** Whether a SIGKILL waits for the task: it does not return to its program. */
  readonly killed: boolean;
}

/** Names of the capabilities in a hexadecimal mask; `CAP_<bit>` for one that is newer than this list. */
export function capabilityNames(mask: string): string[] {
  // In two halves of 32 bits: a scan reads five masks a task, and BigInt would cost more than the reading.
  const low = Number.parseInt(mask.slice(-8), 16) || 0;
  const high = Number.parseInt(mask.slice(0, -8), 16) || 0;
  const names: string[] = [];
  if (low === 0 && high === 0) return names;
  for (let bit = 0; bit < 64; bit++) {
    const half = bit < 32 ? low : high;
    if (((half >>> (bit & 31)) & 1) === 1) names.push(CAPABILITY_NAMES[bit] ?? `CAP_${bit}`);
  }
  return names;
}

/** Undefined where the text is not that of a whole status file: the task ended while it was read. */
export function parseStatus(text: string): TaskStatus | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const field = (name: string) => fields.get(name) ?? '';
  const numbers = (name: string) => field(name).split(/\s+/).filter(Boolean).map(Number);
  const caps = (name: string) => capabilityNames(field(name));
  if (numbers('Uid').length !== 4 || !fields.has('CapEff')) return undefined;
  return {
    name: printable(field('Name')),
    zombie: /^[ZX]/.test(field('State')),
    parent: Number(field('PPid')),
    uids: numbers('Uid'),
    gids: numbers('Gid'),
    groups: numbers('Groups'),
    threads: Number(field('Threads')) || 1,
    capabilities: {
      effective: caps('CapEff'),
      permitted: caps('CapPrm'),
      inheritable: caps('CapInh'),
      ambient: caps('CapAmb'),
      bounding: caps('CapBnd'),
    },
    noNewPrivileges: fields.has('NoNewPrivs') ? field('NoNewPrivs') === '1' : undefined,
    seccomp: Number(field('Seccomp')) || 0,
    catchesUsr1: hasSignal(field('SigCgt'), 10),
    killed: hasSignal(field('SigPnd'), 9),
  };
}

/** Whether a hexadecimal mask holds a signal of the first 31, which are in its low half. */
function hasSignal(mask: string, signal: number): boolean {
  return (((Number.parseInt(mask.slice(-8), 16) || 0) >>> (signal - 1)) & 1) === 1;
}

/** The kernel's flags (PF_ in linux/sched.h) in the text of a task's `stat`; 0 where the text is cut. */
export function parseTaskFlags(stat: string): number {
  return Number(statFields(stat)[6]) || 0;
}

/** A mapping line of uid_map: ids `inside` the namespace stand for `outside` in the reader's. */
export interface IdMapping {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

export function parseIdMap(text: string): IdMapping[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((fields) => fields.length === 3)
    .map(([inside = 0, outside = 0, count = 0]) => ({ inside, outside, count }));
}
