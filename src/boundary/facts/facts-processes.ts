/**
 * Facts about every other process that /proc shows. What the kernel tells of a process of another UID is its
 * status, mountinfo and uid_map: all three are the kernel's own words and cannot be forged by the process.
 * Its name and command line can, so nothing is decided by them alone.
 *
 * Which container a process belongs to is decided by its mounts: a mount's id is unique on the machine while
 * it exists and belongs to one mount namespace, so a process that shows one of our mount ids is in our
 * container, and one that shows none is not. That works for non-dumpable processes too, whose
 * /proc/<pid>/ns is closed to us.
 *
 * A scan is not a lock: a process that is born and dies between two scans is not seen.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { parseStartTime, TICKS_PER_SECOND } from '../../domain/proc-stat.ts';
import { RUNTIME_INIT_MS, RUNTIME_INIT_NAMES } from '../../domain/runtimes.ts';
import { isEnding, taskFolders } from './ending.ts';
import type { MountFacts } from './facts-mounts.ts';
import { ForeignMounts, type MountView, NO_MOUNTS } from './foreign-mounts.ts';
import { type CapabilitySets, parseIdMap, parseTaskFlags, type TaskStatus } from './proc.ts';
import { ifReadable, readStatus, readText } from './readable.ts';

/** Longest stretch of reading /proc before the event loop gets its turn, in milliseconds. */
const SLICE_MS = 2;
/** How often a process is looked at before what cannot be read of it counts as unreadable. */
const MAX_LOOKS = 3;
/** Milliseconds between those looks, for all such processes together: however many there are, a round takes no longer. */
const LOOK_AGAIN_AFTER_MS = 20;
/** PF_KTHREAD of linux/sched.h in the flags of /proc/<pid>/stat. */
const KERNEL_THREAD = 0x0020_0000;
/** What the kernel shows for an id that has no name in the reader's user namespace. */
const UNMAPPED = 4294967295;

/**
 * How a process's user namespace stands to ours. `below`: its capabilities count for nothing here, because
 * they hold in a namespace beneath ours that does not contain our UID. `ours` covers everything else,
 * namespaces above or beside ours included: what cannot be told apart counts. So does `unreadable`: a process
 * that lives and whose map the kernel does not show us.
 */
type UserNamespace = 'ours' | 'below' | 'unreadable';

export interface ProcessFacts extends MountView, Pick<TaskStatus, 'name' | 'parent' | 'threads'> {
  readonly pid: number;
  /** Ticks since boot. With the pid it names one process; undefined where it ended meanwhile. */
  readonly startTime: number | undefined;
  /**
   * Whether this is the container runtime on its way into a container. Nothing inside the pod can make a process whose
   * parent is outside its PID namespace, and the name counts for a moment only.
   */
  readonly runtimeInit: boolean;
  readonly kernelThread: boolean;
  /** Every UID that any of its threads holds: real, effective, saved, file system; each once, sorted. */
  readonly uids: readonly number[];
  /** Effective and permitted capabilities of any of its threads; each once, sorted. */
  readonly capabilities: readonly string[];
  readonly bounding: CapabilitySets['bounding'];
  /** Of all its threads; undefined where the kernel does not show it. */
  readonly noNewPrivileges: boolean | undefined;
  readonly userNamespace: UserNamespace;
  /** Looked at only where there are capabilities to weigh, and undefined where the kernel does not show it to us: a process of another UID. */
  readonly exe: string | undefined;
}

export interface ProcessesFacts {
  /** Every process but this one. */
  readonly others: readonly ProcessFacts[];
  /** Options of the /proc mount that hide processes from us; empty where all are seen. */
  readonly hiding: readonly string[];
  /** Processes that live, and of which not even the status can be read. */
  readonly unreadable: readonly number[];
}

/** Reads every process that /proc shows, or `only` some. A process that ends while it is read is left out. */
export async function gatherProcesses(
  mounts: MountFacts,
  socketFolder: string,
  only?: readonly number[],
): Promise<ProcessesFacts> {
  const breathe = breather();
  const look: Lookup = {
    ownUidMap: readFileSync('/proc/self/uid_map', 'utf8'),
    ownUid: process.getuid?.() ?? -1,
    nowMs: Number.parseFloat(readFileSync('/proc/uptime', 'utf8')) * 1_000,
    mounts: new ForeignMounts(mounts, socketFolder, breathe),
    breathe,
  };
  const others: ProcessFacts[] = [];
  const unreadable: number[] = [];
  let pids = (only ?? readdirSync('/proc').map(Number)).filter(
    (pid) => Number.isInteger(pid) && pid !== process.pid,
  );
  for (let looks = 1; pids.length > 0; looks++) {
    if (looks > 1) await sleep(LOOK_AGAIN_AFTER_MS);
    const again: number[] = [];
    for (const pid of pids) {
      await breathe();
      const facts = await processFacts(pid, look);
      if (facts === 'gone') continue;
      if (facts === 'unreadable') {
        (looks === MAX_LOOKS ? unreadable : again).push(pid);
        continue;
      }
      if (isWhole(facts)) others.push(facts);
      else if (await isEnding(`/proc/${pid}`, breathe)) continue;
      else if (looks === MAX_LOOKS) others.push(facts);
      else again.push(pid);
    }
    pids = again;
  }
  others.sort((a, b) => a.pid - b.pid);
  const proc = mounts.all.findLast((mount) => mount.mountPoint === '/proc');
  const hiding = (proc?.superOptions ?? []).filter((option) => /^(hidepid=(?!0$|off$)|subset=)/.test(option));
  return { others, hiding, unreadable };
}

/** Gives the event loop its turn once a slice is used up; an agent may have thousands of processes or threads. */
function breather(): () => Promise<void> {
  let sliceStart = performance.now();
  return async () => {
    if (performance.now() - sliceStart <= SLICE_MS) return;
    await nextTurn();
    sliceStart = performance.now();
  };
}

/** What a process is compared with. */
interface Lookup {
  readonly ownUidMap: string;
  readonly ownUid: number;
  readonly mounts: ForeignMounts;
  /** Milliseconds since boot, before any process was read. */
  readonly nowMs: number;
  readonly breathe: () => Promise<void>;
}

/**
 * A process may end between two reads, and nothing that it was then counts: an agent could stop us with
 * processes that come and go. Where something could not be read, a process that ends is therefore left out. Any
 * other is looked at again: it is another one that has the id now, or it ends after all, or it is truly unreadable.
 */
function isWhole({ container, userNamespace }: ProcessFacts): boolean {
  return container !== 'unreadable' && userNamespace !== 'unreadable';
}

async function processFacts(pid: number, look: Lookup): Promise<ProcessFacts | 'gone' | 'unreadable'> {
  const folder = `/proc/${pid}`;
  const status = readStatus(folder);
  if (status === undefined) return existsSync(folder) ? 'unreadable' : 'gone';
  // A leader that has ended while its other threads live on reads as a zombie, too.
  if (status.zombie && status.threads <= 1) return 'gone';
  const tasks = status.threads > 1 ? [status, ...(await taskStatuses(folder, look.breathe))] : [status];
  const uids = distinct(tasks.flatMap((task) => task.uids));
  const capabilities = distinct(
    tasks.flatMap((task) => [...task.capabilities.effective, ...task.capabilities.permitted]),
  );
  const stat = readText(`${folder}/stat`) ?? '';
  // Every kernel thread is a child of kthreadd, which is pid 2 and nobody's child.
  const kernelThread = [0, 2].includes(status.parent) && (parseTaskFlags(stat) & KERNEL_THREAD) !== 0;
  const startTime = parseStartTime(stat);
  const namespace = kernelThread ? 'ours' : userNamespace(readText(`${folder}/uid_map`), look);
  // A process that has our UID is no agent's, wherever it is: its mounts are read as ours are.
  const below = namespace === 'below' && !uids.includes(look.ownUid);
  const view = kernelThread ? NO_MOUNTS : await look.mounts.view(folder, below);
  return {
    pid,
    startTime,
    parent: status.parent,
    name: status.name,
    runtimeInit: isRuntimeInit(status, startTime, look.nowMs),
    kernelThread,
    threads: status.threads,
    uids,
    capabilities,
    bounding: status.capabilities.bounding,
    noNewPrivileges: leastOf(tasks.map((task) => task.noNewPrivileges)),
    userNamespace: namespace,
    ...view,
    exe: capabilities.length === 0 ? undefined : ifReadable(() => readlinkSync(`${folder}/exe`)),
  };
}

/** Credentials belong to threads: one thread may hold a UID or a capability that the leader has dropped. */
async function taskStatuses(folder: string, breathe: () => Promise<void>): Promise<TaskStatus[]> {
  const statuses: TaskStatus[] = [];
  for (const task of taskFolders(folder)) {
    await breathe();
    const status = readStatus(task);
    if (status !== undefined) statuses.push(status);
  }
  return statuses;
}

/**
 * An agent may make a user namespace of its own and hold every capability in it: they show in its status,
 * and mean nothing outside. uid_map tells them apart. A map that is still empty belongs to a namespace just
 * made; one whose ids all have a name in ours lies below ours. Such a namespace is harmless unless our UID
 * is in it, for then its SETUID becomes us.
 */
function userNamespace(map: string | undefined, look: Lookup): UserNamespace {
  if (map === undefined) return 'unreadable';
  if (map === look.ownUidMap) return 'ours';
  const harmless = parseIdMap(map).every(
    ({ outside, count }) => outside !== UNMAPPED && (look.ownUid < outside || look.ownUid >= outside + count),
  );
  return harmless ? 'below' : 'ours';
}

function isRuntimeInit({ parent, name }: TaskStatus, startTime: number | undefined, nowMs: number): boolean {
  if (parent !== 0 || startTime === undefined || !RUNTIME_INIT_NAMES.test(name)) return false;
  return nowMs - (startTime / TICKS_PER_SECOND) * 1_000 < RUNTIME_INIT_MS;
}

/** False where one is false, else undefined where one is not known. */
function leastOf(known: readonly (boolean | undefined)[]): boolean | undefined {
  if (known.includes(false)) return false;
  return known.includes(undefined) ? undefined : true;
}

function distinct<T extends string | number>(items: readonly T[]): T[] {
  return [...new Set(items)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
