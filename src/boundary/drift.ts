/**
 * The boundary over time: facts are taken again on a timer and on demand, and the first enforced check that
 * no longer passes is reported, once. One that fails for a moment with every exec must fail at a second look, too, for
 * a process that was there at the first. After a report nothing is taken any more: the caller stops serving and ends.
 *
 * States: idle → checking → idle … → broken or stopped, and there is no way back from the last two.
 */
import type { Config } from '../config/config.ts';
import { errorCode, isShortage } from '../domain/errors.ts';
import { breaches, mayPassByThemselves, runChecks } from './controls/checks.ts';
import { type Facts, type GatherOptions, gatherFacts } from './facts/facts.ts';
import type { Finding } from './finding.ts';

/**
 * A process that appears is noticed within this time, in milliseconds, plus that of the scan itself: some 50 µs of
 * CPU time for each process and thread of the pod, in slices, and as much as the pod's PID limit allows. Where a
 * second look has to decide, it ends us that much later.
 */
export const DRIFT_INTERVAL_MS = 15_000;
/**
 * Intervals that a shortage of ours may last: between the second round on the timer and the third. It tells nothing
 * about the boundary, and ending at once would let whoever causes it end us. Rounds that newcomers ask for do not count.
 */
const SHORTAGE_INTERVALS = 1.5;
/**
 * Milliseconds to the second look that a round takes where the first found nothing but what the container runtime shows
 * during an exec. An exec on a busy node takes some hundred; who holds what breaks the boundary is still there.
 */
export const SECOND_LOOK_AFTER_MS = 2_000;
/**
 * Rounds one after the other that a second look may excuse. An exec is seldom met by one, and hardly by four: who forks
 * in time, so that it is another process at each look, is.
 */
const EXCUSED_ROUNDS = 3;
/** A round that fails for a shortage of ours (descriptors, memory) is tried once more after this many milliseconds. */
const RETRY_AFTER_MS = 500;

export interface DriftOptions {
  /** The configuration in force: asked again each round, for SIGHUP may have replaced it. */
  readonly config: () => Config;
  /** What `gatherFacts` is to know; asked again each round, for the socket may be bound anew. */
  readonly gatherOptions: () => GatherOptions;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** Called once, with every enforced check that does not pass. Never called with `relaxed`. */
  readonly onBroken: (broken: readonly Finding[]) => void;
  /** Called with what a first look found and the second, two seconds later, did not: the boundary stands. */
  readonly onPassed?: (gone: readonly Finding[]) => void;
  /** Called after each round with all findings, for GetStatus. */
  readonly onFindings?: (findings: readonly Finding[], facts: Facts) => void;
  /** Findings go on being reported, and none of them ends the watch. */
  readonly relaxed?: boolean;
  readonly intervalMs?: number;
}

interface Look {
  readonly facts: Facts;
  readonly findings: readonly Finding[];
  readonly broken: readonly Finding[];
}

export interface DriftWatch {
  /**
   * Takes facts now, or once more after a round that has already begun; resolves when that is judged. Calls
   * that come meanwhile share one round, so that nobody can make us scan /proc in a queue. Never rejects.
   */
  readonly checkNow: () => Promise<void>;
}

/** Starts the watch; the first round comes after one interval. */
export function watchDrift(options: DriftOptions): DriftWatch {
  let earlier = options.gatherOptions().earlier;
  let judgedConfig = options.config();
  let ended = options.signal.aborted;
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  let shortSince: number | undefined;
  let excused = 0;

  const intervalMs = options.intervalMs ?? DRIFT_INTERVAL_MS;
  const timer = setInterval(() => void checkNow(), intervalMs);
  const end = () => {
    ended = true;
    clearInterval(timer);
  };
  if (ended) end();
  options.signal.addEventListener('abort', end, { once: true });

  const report = (broken: readonly Finding[]) => {
    if (broken.length === 0 || ended || options.relaxed === true) return;
    end();
    options.onBroken(broken);
  };

  /** One look at everything, judged; undefined where that is not possible for now, or does not matter any more. */
  const look = async (first?: Look): Promise<Look | undefined> => {
    if (ended) return undefined;
    const config = options.config();
    // A new configuration may refer to new Secrets, which were never compared with the environment.
    if (config !== judgedConfig) earlier = undefined;
    judgedConfig = config;
    let facts: Facts;
    try {
      const gatherOptions = { ...options.gatherOptions(), earlier };
      facts = await gatherFacts(config, gatherOptions).catch(async () => {
        await pause(RETRY_AFTER_MS);
        return gatherFacts(config, gatherOptions);
      });
    } catch (error) {
      const now = performance.now();
      if (isShortage(errorCode(error))) {
        shortSince ??= now;
        if (now - shortSince < SHORTAGE_INTERVALS * intervalMs) return undefined;
      }
      report([factsMissing(error)]);
      return undefined;
    }
    shortSince = undefined;
    earlier = facts;
    let findings = runChecks(facts, config);
    // At a second look the next exec may be under way: what came after the first is left to the next round.
    if (first !== undefined && mayPassByThemselves(breaches(findings)))
      findings = runChecks(withoutNewcomers(facts, first.facts), config);
    return { facts, findings, broken: breaches(findings) };
  };

  const round = async () => {
    const first = await look();
    if (first === undefined || ended) return;
    let last = first;
    if (options.relaxed !== true && mayPassByThemselves(first.broken)) {
      await pause(SECOND_LOOK_AFTER_MS);
      // Where there can be no second look, what the first saw stands.
      last = (await look(first)) ?? first;
      if (last.broken.length === 0) {
        options.onPassed?.(first.broken);
        excused++;
        if (excused > EXCUSED_ROUNDS) last = first;
      }
    } else excused = 0;
    if (ended) return;
    options.onFindings?.(last.findings, last.facts);
    report(last.broken);
  };

  const start = () => {
    running = round().finally(() => {
      running = undefined;
    });
    return running;
  };

  const checkNow = (): Promise<void> => {
    if (ended) return Promise.resolve();
    if (running === undefined) return start();
    // A round that has begun may have passed the newcomer by: one more, shared by all who ask meanwhile.
    next ??= running.then(() => {
      next = undefined;
      return start();
    });
    return next;
  };

  return { checkNow };
}

/** By their ids: who takes another in time is a newcomer again, {@link EXCUSED_ROUNDS} times. */
function withoutNewcomers(facts: Facts, before: Facts): Facts {
  const known = new Set(before.processes.others.map(({ pid }) => pid));
  const others = facts.processes.others.filter(({ pid }) => known.has(pid));
  return { ...facts, processes: { ...facts.processes, others } };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Facts that cannot be taken prove nothing. */
function factsMissing(error: unknown): Finding {
  return {
    id: 'process-view',
    severity: 'enforce',
    outcome: 'unknown',
    evidence: `facts could not be taken: ${errorCode(error)}`,
    remedy: 'securityContext.procMount: Default',
  };
}
