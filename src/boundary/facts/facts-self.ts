/** Facts about this process: who it is, what it may do, and how it was started. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import inspector from 'node:inspector';
import { isLoaderVariable } from '../../domain/kubernetes.ts';
import { getCoreLimit, getDumpable, getNoNewPrivileges, NativeError } from '../../native/native.ts';
import type { HardeningResult } from '../harden.ts';
import type { MountFacts } from './facts-mounts.ts';
import { type IdMapping, parseIdMap, parseStatus, type TaskStatus } from './proc.ts';
import { ifReadable } from './readable.ts';

/** Values shorter than this are not searched for: `root` or `true` is in many environments by chance. */
export const MIN_SEARCHED_BYTES = 8;
/** A Secret is at most 1 MiB, so no value is longer. */
const MAX_VALUE_BYTES = 1024 * 1024;

/** A place in argv or the environment that holds a value of a mounted Secret. */
interface Exposure {
  /** `argv[2]` or `environment variable NAME`: never the content. */
  readonly place: string;
  /** `<namespace>/<name>/<key>`. */
  readonly reference: string;
}

export interface ExposureFacts {
  readonly found: readonly Exposure[];
  /** Values compared, and those left out because they are too short or could not be read. */
  readonly compared: number;
  readonly tooShort: number;
  readonly unreadable: readonly string[];
}

export interface SelfFacts {
  readonly pid: number;
  readonly status: TaskStatus;
  readonly uidMap: readonly IdMapping[];
  /** PR_GET_DUMPABLE; undefined where a seccomp filter forbids to ask. */
  readonly dumpable: number | undefined;
  /** By prctl, for gVisor does not show it in /proc; undefined as above. */
  readonly noNewPrivileges: boolean | undefined;
  /** Bytes; undefined as above. */
  readonly coreLimit: { readonly soft: number; readonly hard: number } | undefined;
  readonly hardening: HardeningResult;
  readonly inspectorActive: boolean;
  readonly nodeFlags: readonly string[];
  /** What Node's permission model still lets us do; undefined where it is off, or only audits. */
  readonly permitted: readonly string[] | undefined;
  /** Names of variables that load code or write memory out. */
  readonly loaderVariables: readonly string[];
  readonly exposure: ExposureFacts;
  /** What /proc/self points to: our pid, unless /proc is that of another PID namespace. */
  readonly procSelf: string;
  /** `pid:[<inode>]`. */
  readonly pidNamespace: string;
}

export function gatherSelf(
  mounts: MountFacts,
  hardening: HardeningResult,
  exposure: ExposureFacts | undefined,
): SelfFacts {
  const status = parseStatus(readFileSync('/proc/self/status', 'utf8'));
  if (status === undefined) throw new Error('/proc/self/status has no credentials in it');
  return {
    pid: process.pid,
    status,
    uidMap: parseIdMap(readFileSync('/proc/self/uid_map', 'utf8')),
    dumpable: asked(getDumpable),
    coreLimit: asked(getCoreLimit),
    noNewPrivileges: asked(getNoNewPrivileges),
    hardening,
    inspectorActive: inspector.url() !== undefined,
    nodeFlags: [...process.execArgv],
    permitted: permitted(),
    loaderVariables: Object.keys(process.env).filter(isLoaderVariable).sort(),
    exposure: exposure ?? searchExposure(mounts),
    procSelf: readlinkSync('/proc/self'),
    pidNamespace: readlinkSync('/proc/self/ns/pid'),
  };
}

/** Everything that a resolver has no use for, and that Node can forbid. */
function permitted(): string[] | undefined {
  const { permission } = process;
  if (permission === undefined || process.execArgv.includes('--permission-audit')) return undefined;
  const allowed = ['child', 'worker', 'wasi', 'inspector'].filter((scope) => permission.has(scope));
  return permission.has('fs.write', '/') ? [...allowed, 'fs.write everywhere'] : allowed;
}

function asked<T>(question: () => T): T | undefined {
  try {
    return question();
  } catch (error) {
    if (error instanceof NativeError) return undefined;
    throw error;
  }
}

/** Looks for each mounted value, plain and in Base64, in argv and the environment, and wipes what it read. */
function searchExposure(mounts: MountFacts): ExposureFacts {
  const places = [
    ...[...process.execArgv, ...process.argv].map((text, at) => ({ place: `argv[${at}]`, text })),
    ...Object.entries(process.env).map(([name, text = '']) => ({
      place: `environment variable ${name}`,
      text,
    })),
  ].map(({ place, text }) => ({ place, bytes: Buffer.from(text) }));
  const found: Exposure[] = [];
  const unreadable: string[] = [];
  let compared = 0;
  let tooShort = 0;
  for (const volume of mounts.secrets) {
    for (const file of volume.files) {
      const key = file.path.slice((volume.generation?.path.length ?? 0) + 1);
      const reference = `${volume.id}/${key}`;
      const value = readValue(file.path);
      if (value === undefined) {
        unreadable.push(reference);
      } else if (value.byteLength < MIN_SEARCHED_BYTES) {
        tooShort++;
      } else {
        compared++;
        const encoded = Buffer.from(value.toString('base64'));
        for (const { place, bytes } of places) {
          if (bytes.includes(value) || bytes.includes(encoded)) found.push({ place, reference });
        }
        encoded.fill(0);
      }
      value?.fill(0);
    }
  }
  return { found, compared, tooShort, unreadable };
}

/** The bytes without one newline at their end, in a buffer of their own; undefined where they cannot be read. */
function readValue(path: string): Buffer | undefined {
  return ifReadable(() => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const size = Math.min(fstatSync(fd).size, MAX_VALUE_BYTES);
      const buffer = Buffer.alloc(size);
      let length = 0;
      for (let read = -1; read !== 0 && length < size; length += read) {
        read = readSync(fd, buffer, length, size - length, null);
      }
      const end = length > 0 && buffer[length - 1] === 0x0a ? length - 1 : length;
      return buffer.subarray(0, end);
    } finally {
      closeSync(fd);
    }
  });
}
