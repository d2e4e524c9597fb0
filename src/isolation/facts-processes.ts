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
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { throwShortage } from '../errors.ts';
import { isReadOnlyMount, type Mount, parseMountinfo } from '../volume/mountinfo.ts';
import { type MountFacts, mountOf } from './facts-mounts.ts';
import { type CapabilitySets, parseIdMap, parseStatus, type TaskStatus } from './proc.ts';

/** Longest stretch of reading /proc before the event loop gets its turn, in milliseconds. */
const SLICE_MS = 2;
/** PF_KTHREAD of linux/sched.h in the flags of /proc/<pid>/stat. */
const KERNEL_THREAD = 0x0020_0000;
/** What the kernel shows for an id that has no name in the reader's user namespace. */
const UNMAPPED = 4294967295;

/**
 * How a process's user namespace stands to ours. `below`: its capabilities count for nothing here, because
 * they hold in a namespace beneath ours that does not contain our UID. `ours` covers everything else,
 * namespaces above or beside ours included: what cannot be told apart counts.
 */
type UserNamespace = 'ours' | 'below';

/** A mount of another container that leads to one of our volumes. */
export interface SharedMount {
  readonly mountPoint: string;
  readonly device: string;
  readonly readOnly: boolean;
}

export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  /** Chosen by the process itself. */
  readonly name: string;
  readonly kernelThread: boolean;
  readonly threads: number;
  /** Every UID that any of its threads holds: real, effective, saved, file system; each once, sorted. */
  readonly uids: readonly number[];
  /** Effective and permitted capabilities of any of its threads; each once, sorted. */
  readonly capabilities: readonly string[];
  readonly bounding: CapabilitySets['bounding'];
  readonly noNewPrivileges: boolean;
  /** Looked at only where there are capabilities to weigh. */
  readonly userNamespace: UserNamespace | undefined;
  readonly container: 'ours' | 'other' | 'unreadable';
  /** Where another container has one of our Secret volumes mounted. */
  readonly secretMounts: readonly SharedMount[];
  /** Where another container has the socket's volume mounted. */
  readonly socketMounts: readonly SharedMount[];
  /** As above, and undefined where the kernel does not show it to us: a process of another UID. */
  readonly exe: string | undefined;
}

export interface ProcessesFacts {
  /** Every process but this one. */
  readonly others: readonly ProcessFacts[];
  /** Options of the /proc mount that hide processes from us; empty where all are seen. */
  readonly hiding: readonly string[];
}

/** Reads every process that /proc shows. One that ends while it is read is left out. */
export async function gatherProcesses(mounts: MountFacts, socketFolder: string): Promise<ProcessesFacts> {
  const look = lookup(mounts, socketFolder);
  const others: ProcessFacts[] = [];
  const breathe = breather();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    await breathe();
    const facts = await processFacts(pid, look, breathe);
    if (facts !== undefined) others.push(facts);
  }
  const proc = mounts.all.findLast((mount) => mount.mountPoint === '/proc');
  const hiding = (proc?.superOptions ?? []).filter((option) => /^(hidepid=(?!0$|off$)|subset=)/.test(option));
  return { others, hiding };
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
  readonly ownMounts: ReadonlySet<number>;
  readonly ownUidMap: string;
  readonly ownUid: number;
  readonly secretDevices: ReadonlySet<string>;
  readonly socketMount: Mount | undefined;
  /** Containers have few mount tables and many processes: the same text is judged once. */
  readonly judged: Map<string, MountView>;
}

type MountView = Pick<ProcessFacts, 'container' | 'secretMounts' | 'socketMounts'>;

function lookup(mounts: MountFacts, socketFolder: string): Lookup {
  return {
    ownMounts: new Set(mounts.all.map((mount) => mount.id)),
    ownUidMap: readFileSync('/proc/self/uid_map', 'utf8'),
    ownUid: process.getuid?.() ?? -1,
    // Only a tmpfs of its own has a device of its own: another kind could be the node's disk, which all share.
    secretDevices: new Set(
      mounts.secrets.flatMap(({ mount }) => (mount?.type === 'tmpfs' ? [mount.device] : [])),
    ),
    socketMount: mountOf(socketFolder, mounts.all),
    judged: new Map(),
  };
}

async function processFacts(
  pid: number,
  look: Lookup,
  breathe: () => Promise<void>,
): Promise<ProcessFacts | undefined> {
  const folder = `/proc/${pid}`;
  const text = readText(`${folder}/status`);
  const status = text === undefined ? undefined : parseStatus(text);
  if (status === undefined) return undefined;
  // A leader that has ended while its other threads live on reads as a zombie, too.
  if (status.zombie && status.threads <= 1) return undefined;
  const tasks = status.threads > 1 ? [status, ...(await taskStatuses(folder, breathe))] : [status];
  const uids = distinct(tasks.flatMap((task) => task.uids));
  const capabilities = distinct(
    tasks.flatMap((task) => [...task.capabilities.effective, ...task.capabilities.permitted]),
  );
  const kernelThread = mayBeKernelThread(status) && isKernelThread(folder);
  const view: MountView = kernelThread
    ? { container: 'other', secretMounts: [], socketMounts: [] }
    : mountView(folder, look);
  // It may have ended between the two reads: then there is nothing left to judge.
  if (view.container === 'unreadable' && readText(`${folder}/status`) === undefined) return undefined;
  return {
    pid,
    parent: status.parent,
    name: status.name,
    kernelThread,
    threads: status.threads,
    uids,
    capabilities,
    bounding: status.capabilities.bounding,
    noNewPrivileges: tasks.every((task) => task.noNewPrivileges),
    userNamespace: capabilities.length === 0 ? undefined : userNamespace(readText(`${folder}/uid_map`), look),
    ...view,
    exe: capabilities.length === 0 ? undefined : readExe(folder),
  };
}

/** Credentials belong to threads: one thread may hold a UID or a capability that the leader has dropped. */
async function taskStatuses(folder: string, breathe: () => Promise<void>): Promise<TaskStatus[]> {
  const statuses: TaskStatus[] = [];
  let tids: string[];
  try {
    tids = readdirSync(`${folder}/task`);
  } catch (error) {
    throwShortage(error);
    return statuses;
  }
  for (const tid of tids) {
    await breathe();
    const text = readText(`${folder}/task/${tid}/status`);
    const status = text === undefined ? undefined : parseStatus(text);
    if (status !== undefined) statuses.push(status);
  }
  return statuses;
}

function mountView(folder: string, look: Lookup): MountView {
  const text = readText(`${folder}/mountinfo`);
  if (text === undefined) return { container: 'unreadable', secretMounts: [], socketMounts: [] };
  const known = look.judged.get(text);
  if (known !== undefined) return known;
  const view = judgeMounts(parseMountinfo(text), look);
  look.judged.set(text, view);
  return view;
}

function judgeMounts(mounts: readonly Mount[], look: Lookup): MountView {
  if (mounts.some((mount) => look.ownMounts.has(mount.id))) {
    return { container: 'ours', secretMounts: [], socketMounts: [] };
  }
  const socket = look.socketMount;
  return {
    container: 'other',
    secretMounts: mounts.filter((mount) => look.secretDevices.has(mount.device)).map(shared),
    socketMounts: mounts.filter((mount) => socket !== undefined && leadsTo(mount, socket)).map(shared),
  };
}

/** Whether the other mount shows the same folder of the same file system, or one above it. */
function leadsTo(mount: Mount, ours: Mount): boolean {
  return (
    mount.device === ours.device &&
    (mount.root === '/' || mount.root === ours.root || ours.root.startsWith(`${mount.root}/`))
  );
}

function shared(mount: Mount): SharedMount {
  return { mountPoint: mount.mountPoint, device: mount.device, readOnly: isReadOnlyMount(mount) };
}

/**
 * An agent may make a user namespace of its own and hold every capability in it: they show in its status,
 * and mean nothing outside. uid_map tells them apart. A map that is still empty belongs to a namespace just
 * made; one whose ids all have a name in ours lies below ours. Such a namespace is harmless unless our UID
 * is in it, for then its SETUID becomes us.
 */
function userNamespace(map: string | undefined, look: Lookup): UserNamespace {
  if (map === undefined || map === look.ownUidMap) return 'ours';
  const harmless = parseIdMap(map).every(
    ({ outside, count }) => outside !== UNMAPPED && (look.ownUid < outside || look.ownUid >= outside + count),
  );
  return harmless ? 'below' : 'ours';
}

/** Every kernel thread is a child of kthreadd, which is pid 2 and nobody's child. */
function mayBeKernelThread(status: TaskStatus): boolean {
  return status.parent === 0 || status.parent === 2;
}

function isKernelThread(folder: string): boolean {
  const stat = readText(`${folder}/stat`) ?? '';
  // The name in brackets may hold anything; the fields behind it begin after the last bracket.
  const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
  return (flags & KERNEL_THREAD) !== 0;
}

function readExe(folder: string): string | undefined {
  try {
    return readlinkSync(`${folder}/exe`);
  } catch (error) {
    throwShortage(error);
    return undefined;
  }
}

/** Undefined where the process has ended, or the kernel does not let us read. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    // Our own shortage is no fact about the process: fail the round instead of seeing nobody.
    throwShortage(error);
    return undefined;
  }
}

function distinct<T extends string | number>(items: readonly T[]): T[] {
  return [...new Set(items)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
