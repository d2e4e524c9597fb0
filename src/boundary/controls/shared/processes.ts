/** What several checks on the processes in sight share: those of the pod where it shares a PID namespace. */
import type { Config } from '../../../config/config.ts';
import { matchGlob } from '../../../domain/glob.ts';
import { listed, pass, unknown, type Verdict } from '../../control.ts';
import type { Facts } from '../../facts/facts.ts';
import type { ProcessFacts } from '../../facts/facts-processes.ts';

/** Processes of other containers. */
export function foreign(facts: Facts): ProcessFacts[] {
  return facts.processes.others.filter((process) => process.container !== 'ours' && !process.kernelThread);
}

export function named(process: ProcessFacts): string {
  return `pid ${process.pid} (${process.name}, UID ${process.uids.join('/')})`;
}

/**
 * The pod's sandbox process. In a pod that shares its PID namespace pid 1 is started by the container
 * runtime and by nobody else, so an agent cannot take its place. Some runtimes leave it root with their
 * default capabilities; it only waits for signals. Accepted weakness: outside Kubernetes, `--pid=container:X`
 * makes X's first process pid 1, and a root process there could call itself pause.
 */
export function isPause(process: ProcessFacts): boolean {
  return process.pid === 1 && process.parent === 0 && process.name === 'pause' && process.threads === 1;
}

/** The kernel hides the exe of another UID: an entry that names one can then not be verified, and does not count. */
export function trustOf(process: ProcessFacts, config: Config): 'trusted' | 'unverifiable' | 'untrusted' {
  let trust: ReturnType<typeof trustOf> = 'untrusted';
  for (const entry of config.boundary.trusted) {
    if (!process.uids.every((uid) => uid === entry.uid)) continue;
    if (entry.exe === undefined) return 'trusted';
    if (process.exe === undefined) trust = 'unverifiable';
    else if (matchGlob(entry.exe, process.exe, '/')) return 'trusted';
  }
  return trust;
}

/** The exception that a trusted process is. */
export function trusted({ uids }: ProcessFacts): string {
  return `UID ${uids.join('/')} is trusted by boundary.trusted`;
}

/** Processes of other containers that have one of our volumes mounted, each with the places. */
export function mountedElsewhere(facts: Facts, which: 'secretMounts' | 'socketMounts'): string[] {
  return foreign(facts).flatMap((process) =>
    process.runtimeInit || process[which].length === 0
      ? []
      : [`${named(process)} at ${listed(process[which])}`],
  );
}

/** `verdict`, unless there are mounts that are not known: a living process shows none, or more than are read, which takes a capability to make. */
export function nothingMounted(facts: Facts, verdict: Verdict): Verdict {
  const processes = foreign(facts);
  const hidden = processes.filter((process) => process.container === 'unreadable');
  if (hidden.length > 0) {
    return unknown(
      `${listed(hidden.map(named))}: its mounts cannot be read`,
      'spec.shareProcessNamespace: false, or end that process',
    );
  }
  const cut = processes.filter((process) => process.mountsCut);
  if (cut.length > 0) {
    return unknown(
      `${listed(cut.map(named))}: more mounts than are read`,
      'securityContext.capabilities.drop: [ALL] in its container, so that it makes no mounts',
    );
  }
  return processes.length > 0
    ? verdict
    : pass('other containers are out of sight: `lint` and the admission policy cover their mounts');
}
