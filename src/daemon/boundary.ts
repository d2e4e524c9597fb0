/** The gate before the first serve and every later one: proves the boundary, keeps proving it, says so. */
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  breaches,
  judge,
  mayPassByThemselves,
  relaxedRefusal,
  runChecks,
} from '../boundary/controls/checks.ts';
import { type DriftWatch, SECOND_LOOK_AFTER_MS, watchDrift } from '../boundary/drift.ts';
import { type Facts, gatherFacts } from '../boundary/facts/facts.ts';
import type { Finding } from '../boundary/finding.ts';
import { type HardeningResult, harden } from '../boundary/harden.ts';
import { reexecOnce } from '../boundary/reexec.ts';
import { renderTable } from '../boundary/report.ts';
import type { Config } from '../config/config.ts';
import type { BoundaryFacts } from '../consumers/native/status.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { VERSION } from '../domain/version.ts';
import type { Audit } from '../observe/audit/audit.ts';
import type { Logger } from '../observe/log.ts';
import type { BoundSocket } from '../socket/socket-file.ts';

/** Finding that lists the exceptions which the configuration makes: audited whatever its outcome. */
const EXCEPTIONS = 'config-exceptions';

/**
 * Looks that a start takes, {@link SECOND_LOOK_AFTER_MS} apart, until one finds nothing wrong, where those before found
 * nothing but what the container runtime shows during an exec. Nothing is served yet: the last look stands as it is.
 */
const LOOKS_AT_START = 3;

/** Milliseconds from a UID's first connection to the look at the pod that it causes: its first call is answered meanwhile. */
const NEW_UID_DELAY_MS = 50;

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a refusal is shown, and what ends the wait for a boundary that is not proven yet. */
export interface ProofContext {
  readonly env: Environment;
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly signal: AbortSignal;
}

export interface BoundaryOptions {
  readonly relaxed: boolean;
  readonly audit: Audit;
  readonly log: Logger;
}

/**
 * What a process must do to itself before it reads a Secret or opens a log: refuse `--relaxed` in a cluster,
 * start again under Node's own restrictions, harden itself. The first returns only where it is done.
 */
export function protectProcess(env: Environment, config: Config, relaxed: boolean): HardeningResult {
  const refusal = relaxed ? relaxedRefusal(env) : undefined;
  if (refusal !== undefined) throw new CommandError(refusal, ExitCode.refused);
  reexecOnce(config);
  return harden();
}

export class Boundary {
  readonly #options: BoundaryOptions;
  readonly #hardening: HardeningResult;
  #facts: Facts;
  #findings: readonly Finding[];
  #watch: DriftWatch | undefined;
  #soon: NodeJS.Timeout | undefined;

  private constructor(
    options: BoundaryOptions,
    hardening: HardeningResult,
    facts: Facts,
    findings: readonly Finding[],
  ) {
    this.#options = options;
    this.#hardening = hardening;
    this.#facts = facts;
    this.#findings = findings;
  }

  /**
   * Takes facts and judges them, again after a moment where an exec may be under way. Where an enforced check fails: a
   * table on stderr, a finding each in the audit, and no way on.
   */
  static async prove(
    config: Config,
    hardening: HardeningResult,
    options: BoundaryOptions,
    context: ProofContext,
  ): Promise<Boundary> {
    const { relaxed, audit, log } = options;
    const looks = relaxed ? 1 : LOOKS_AT_START;
    const { facts, findings, gone } = await lookAtStart(config, hardening, looks, context.signal);
    tellGone(gone, options);
    const failed = breaches(findings);
    for (const finding of [...failed, ...findings.filter(({ id }) => id === EXCEPTIONS)])
      audit.boundaryFinding(finding);
    const state = judge(findings, { relaxed });
    if (state === 'broken') {
      const report = {
        version: VERSION,
        checkedAtMs: facts.takenAtMs,
        sandbox: config.sandbox,
        state,
        findings,
      };
      context.stderr.write(
        renderTable(report, {
          colour: context.stderr.isTTY === true && context.env.NO_COLOR === undefined,
          all: false,
        }),
      );
      throw new CommandError('the isolation boundary is not proven; nothing is served', ExitCode.refused);
    }
    if (state === 'relaxed') {
      log.warn(
        { failed: failed.map(({ id }) => id) },
        'the isolation boundary is not proven, and --relaxed serves all the same',
      );
    } else log.info({ checks: findings.length }, 'the isolation boundary is proven');
    return new Boundary(options, hardening, facts, findings);
  }

  /** For GetStatus. */
  get facts(): BoundaryFacts {
    const { relaxed } = this.#options;
    return {
      verdict: judge(this.#findings, { relaxed }),
      relaxed,
      findings: this.#findings,
      checkedAtMs: this.#facts.takenAtMs,
    };
  }

  /** Takes facts again and again; `onBroken` is called once, when an enforced check no longer passes. */
  keepProving(
    config: () => Config,
    boundSocket: () => BoundSocket | undefined,
    signal: AbortSignal,
    onBroken: (broken: readonly Finding[]) => void,
  ): void {
    const { relaxed, audit, log } = this.#options;
    this.#watch = watchDrift({
      config,
      gatherOptions: () => ({ hardening: this.#hardening, boundSocket: boundSocket(), earlier: this.#facts }),
      signal,
      relaxed,
      onFindings: (findings, facts) => {
        this.#findings = findings;
        this.#facts = facts;
      },
      onPassed: (gone) => tellGone(gone, this.#options),
      onBroken: (broken) => {
        for (const finding of broken) {
          audit.boundaryFinding(finding);
          log.fatal(
            { check: finding.id, evidence: finding.evidence, todo: finding.remedy },
            'the isolation boundary is broken; nothing is served from now on',
          );
        }
        onBroken(broken);
      },
    });
  }

  /** Takes facts soon: a UID was seen that was not seen before. */
  checkSoon(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      if (this.#watch === undefined) this.checkSoon();
      else void this.#watch.checkNow();
    }, NEW_UID_DELAY_MS).unref();
  }
}

interface StartLook {
  readonly facts: Facts;
  readonly findings: readonly Finding[];
  /** What earlier looks found wrong, the latest finding of each check; empty where the last found something wrong, too. */
  readonly gone: readonly Finding[];
}

/**
 * Takes facts and judges them, `looks` times at most: see {@link LOOKS_AT_START}. Who is asked to end waits for no
 * further one, and the last stands.
 */
async function lookAtStart(
  config: Config,
  hardening: HardeningResult,
  looks: number,
  signal: AbortSignal,
): Promise<StartLook> {
  const wrong = new Map<string, Finding>();
  for (let look = 1; ; look++) {
    const facts = await gatherFacts(config, { hardening });
    const findings = runChecks(facts, config);
    const failed = breaches(findings);
    if (failed.length === 0) return { facts, findings, gone: [...wrong.values()] };
    const last = { facts, findings, gone: [] };
    if (look >= looks || !mayPassByThemselves(failed)) return last;
    for (const finding of failed) wrong.set(finding.id, finding);
    await sleep(SECOND_LOOK_AFTER_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return last;
  }
}

/** Findings of processes that came and went: they break nothing, and are worth a look. */
function tellGone(gone: readonly Finding[], { audit, log }: BoundaryOptions): void {
  for (const finding of gone) {
    const evidence = `${finding.evidence}; gone at the next look`;
    audit.boundaryFinding({ ...finding, severity: 'warn', evidence });
    log.warn(
      { check: finding.id, evidence },
      'a process came and went that would break the isolation boundary',
    );
  }
}
