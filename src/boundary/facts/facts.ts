/**
 * Everything that the checks look at, taken once into one plain object. Nothing is judged here, and nothing
 * here holds a value of a Secret, a command line or an environment: facts may be printed whole.
 *
 * A fact that cannot be taken is written down as such (`unreadable`, undefined), never guessed and never
 * left out: the check that needs it fails closed.
 */
import { dirname } from 'node:path';
import type { Config } from '../../config/config.ts';
import type { BoundSocket } from '../../socket/socket-file.ts';
import type { HardeningResult } from '../harden.ts';
import { gatherMounts, type MountFacts, resolved } from './facts-mounts.ts';
import { gatherProcesses, type ProcessesFacts, type ProcessFacts } from './facts-processes.ts';
import { gatherSelf, type SelfFacts } from './facts-self.ts';
import { gatherSockets, type SocketFacts } from './facts-sockets.ts';
import { gatherRuntime, type RuntimeFacts } from './runtime.ts';

export interface Facts {
  /** Unix milliseconds. */
  readonly takenAtMs: number;
  readonly runtime: RuntimeFacts;
  readonly self: SelfFacts;
  readonly mounts: MountFacts;
  readonly processes: ProcessesFacts;
  readonly sockets: SocketFacts;
}

export interface GatherOptions {
  readonly hardening: HardeningResult;
  /** The socket that the caller has bound, once it has: its file must then exist and be this one. */
  readonly boundSocket?: BoundSocket | undefined;
  /**
   * Facts taken earlier by this process. argv and the environment cannot change from outside, so Secrets are
   * not read a second time only to be compared with them.
   */
  readonly earlier?: Facts | undefined;
}

/**
 * Facts with some processes read again, and only those of them that are still the same process. Everything else is as
 * it was: this answers whether what was seen is still true, within a millisecond and not within a scan of /proc.
 */
export async function gatherAgain(
  facts: Facts,
  config: Config,
  suspects: readonly ProcessFacts[],
): Promise<Facts> {
  const startTimes = new Map(suspects.map(({ pid, startTime }) => [pid, startTime]));
  const socketFolder = resolved(dirname(config.socket.path));
  const again = await gatherProcesses(facts.mounts, socketFolder, [...startTimes.keys()]);
  const others = [
    ...facts.processes.others.filter(({ pid }) => !startTimes.has(pid)),
    ...again.others.filter(({ pid, startTime }) => startTimes.get(pid) === startTime),
  ];
  return { ...facts, processes: { ...facts.processes, others } };
}

/**
 * Takes all facts. Reads other processes in slices of a few milliseconds and gives way to the event loop in
 * between: a caller waits for one slice at a time, however many processes, threads and mounts the pod has. What
 * is ours alone (mounts, configuration, descriptors) is read in one piece. Throws where this process's own /proc cannot be read: there is
 * nothing to judge then.
 */
export async function gatherFacts(config: Config, options: GatherOptions): Promise<Facts> {
  const mounts = gatherMounts(config);
  return {
    takenAtMs: Date.now(),
    runtime: options.earlier?.runtime ?? gatherRuntime(),
    self: gatherSelf(mounts, options.hardening, options.earlier?.self.exposure),
    mounts,
    processes: await gatherProcesses(mounts, resolved(dirname(config.socket.path))),
    sockets: gatherSockets(config, mounts, options.boundSocket),
  };
}
