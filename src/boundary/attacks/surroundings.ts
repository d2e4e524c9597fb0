/** What the agent can see around itself in /proc. Everything in here is readable by any UID. */
import { readdirSync, readlinkSync } from 'node:fs';
import { type Mount, parseMountinfo } from '../../domain/mountinfo.ts';
import { ifReadable, readText } from '../facts/readable.ts';
import type { Tries } from './tries.ts';
import type { AttackContext } from './types.ts';

/** Processes looked at. A pod has tens; a node, with hostPID, has thousands, and then the first one is enough. */
const MAX_PROCESSES = 1024;

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  /** Name as the kernel has it, at most 15 characters. */
  readonly name: string;
}

export interface TcpListener {
  /** Address at which we reach it. */
  readonly host: string;
  readonly port: number;
}

/** `pid 12 (node, uid 1337)`. */
export function describeProcess({ pid, name, uid }: ProcessEntry): string {
  return `pid ${pid} (${name}, uid ${uid})`;
}

/** One field of /proc/<pid>/status. */
export function statusField(pid: number | 'self', field: string): string {
  return fieldOf(readText(`/proc/${pid}/status`) ?? '', field) ?? '';
}

function fieldOf(status: string, field: string): string | undefined {
  return new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(status)?.[1];
}

function readProcess(pid: number): ProcessEntry | undefined {
  const status = readText(`/proc/${pid}/status`) ?? '';
  const uid = fieldOf(status, 'Uid')?.split('\t')[0];
  if (uid === undefined || fieldOf(status, 'State')?.startsWith('Z') !== false) return undefined;
  const name = fieldOf(status, 'Name') ?? '';
  return { pid, parent: Number(fieldOf(status, 'PPid')), uid: Number(uid), name };
}

function mountNamespace(pid: number | 'self'): string | undefined {
  return ifReadable(() => readlinkSync(`/proc/${pid}/ns/mnt`));
}

/**
 * Every process that the agent has no business with: of another UID, of the resolver's UID, or of our UID in another
 * container, which shows by its mount namespace. Our own container's processes of our own UID are ours to read.
 */
export function foreignProcesses(context: Pick<AttackContext, 'resolverUid'>): ProcessEntry[] {
  const ownNamespace = mountNamespace('self');
  const ownUid = process.getuid?.();
  const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  const found: ProcessEntry[] = [];
  for (const name of pids) {
    if (found.length === MAX_PROCESSES) break;
    const entry = readProcess(Number(name));
    if (entry === undefined || entry.pid === process.pid || entry.parent === process.pid) continue;
    const ours =
      entry.uid === ownUid &&
      entry.uid !== context.resolverUid &&
      ownNamespace !== undefined &&
      mountNamespace(entry.pid) === ownNamespace;
    if (!ours) found.push(entry);
  }
  return found;
}

/** Every foreign process; says so where there is none, or where there are more than the self-test looks at. */
export function processesToAttack(context: AttackContext, tries: Tries): ProcessEntry[] {
  const processes = foreignProcesses(context);
  if (processes.length === 0) tries.notApplicable('no foreign process is visible');
  if (processes.length === MAX_PROCESSES) {
    tries.unclear(
      'further processes',
      `more than ${MAX_PROCESSES} are visible: is this the PID namespace of the node?`,
    );
  }
  return processes;
}

/** Mounts of a process as its own root sees them; empty where they cannot be read. */
export function mountsOf(pid: number | 'self'): Mount[] {
  return parseMountinfo(readText(`/proc/${pid}/mountinfo`) ?? '');
}

function rowsOf(table: 'tcp' | 'tcp6' | 'unix'): string[] {
  return (readText(`/proc/net/${table}`) ?? '').split('\n').slice(1);
}

/** An address of /proc/net/tcp or tcp6 (words in host order), and where we reach a socket bound to it. */
function parseAddress(hex: string): string | undefined {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length !== 4 && bytes.length !== 16) return undefined;
  bytes.swap32();
  const isAny = bytes.every((byte) => byte === 0);
  if (bytes.length === 4) return isAny ? '127.0.0.1' : bytes.join('.');
  if (isAny) return '::1';
  const text = bytes.toString('hex');
  if (/^0{20}ffff/.test(text)) return bytes.subarray(12).join('.');
  const groups = text.match(/.{4}/g)?.map((group) => Number.parseInt(group, 16).toString(16));
  return groups?.join(':');
}

/** Every listening TCP socket of our network namespace. */
export function tcpListeners(): TcpListener[] {
  const LISTEN = '0A';
  const found = new Map<string, TcpListener>();
  for (const table of ['tcp', 'tcp6'] as const) {
    for (const line of rowsOf(table)) {
      const [, local = '', , state] = line.trim().split(/\s+/);
      const [address = '', port = ''] = local.split(':');
      const host = parseAddress(address);
      if (state !== LISTEN || host === undefined) continue;
      const listener = { host, port: Number.parseInt(port, 16) };
      found.set(describeListener(listener), listener);
    }
  }
  return [...found.values()];
}

/** `127.0.0.1:9229` or `[::1]:9229`. */
export function describeListener({ host, port }: TcpListener): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Every listening Unix stream socket of our network namespace that has a name, whatever mount namespace it was bound in.
 * The name is as it was bound; of an abstract socket without the leading NUL.
 */
export function unixListeners(): { name: string; abstract: boolean }[] {
  const ACCEPTS = 0x10000; // __SO_ACCEPTCON
  const STREAM = 1;
  const found = new Map<string, { name: string; abstract: boolean }>();
  for (const line of rowsOf('unix')) {
    const [, flags = '', type = '', shown = ''] = /^\S+ \S+ \S+ (\S+) (\S+) \S+ +\S+ (.+)$/.exec(line) ?? [];
    if ((Number.parseInt(flags, 16) & ACCEPTS) === 0 || Number.parseInt(type, 16) !== STREAM) continue;
    const abstract = shown.startsWith('@');
    // The kernel prints a NUL inside a name as `@` too; names that end in padding are tried without it.
    const name = abstract ? shown.slice(1).replace(/@+$/, '') : shown;
    found.set(shown, { name, abstract });
  }
  return [...found.values()];
}
