/** The gate before the first serve and every later one: proves the boundary, keeps proving it, says so. */
import type { Writable } from 'node:stream';
import { gatherAgain, gatherFacts } from '../boundary/facts/facts.ts';
import type { Finding } from '../boundary/finding.ts';
import { type HardeningResult, harden } from '../boundary/harden.ts';
import { requireTruthfulPeers } from '../boundary/peer-truth.ts';
import { reexecOnce } from '../boundary/reexec.ts';
import { renderTable } from '../boundary/report.ts';
import { type Round, Rounds } from '../boundary/rounds.ts';
import { exceptionsOf, judge, provenText, relaxedRefusal, runChecks } from '../boundary/verdict.ts';
import type { Config } from '../config/config.ts';
import type { BoundaryFacts } from '../consumers/status-facts.ts';
import { CommandError, ExitCode } from '../domain/errors.ts';
import { VERSION } from '../domain/version.ts';
import type { Audit } from '../observe/audit/audit.ts';
import type { Logger } from '../observe/log.ts';
import type { BoundSocket } from '../socket/socket-file.ts';

/** Finding that lists the exceptions which the configuration makes: audited whatever its outcome. */
const EXCEPTIONS = 'config-exceptions';

type Environment = Readonly<Record<string, string | undefined>>;

export interface BoundaryOptions {
  /** The configuration in force: asked again each round, for a reload may have replaced it. */
  readonly config: () => Config;
  readonly hardening: HardeningResult;
  /** The socket in place: asked again each round, for it may be bound anew. */
  readonly boundSocket: () => BoundSocket | undefined;
  readonly relaxed: boolean;
  readonly audit: Audit;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly env: Environment;
  /** Where a refusal is shown. */
  readonly stderr: Writable & { readonly isTTY?: boolean };
}

/**
 * What a process must do to itself before it reads a Secret or opens a log: refuse `--relaxed` in a cluster,
 * start again under Node's own restrictions, try whether the kernel tells its callers apart, harden itself. The first
 * returns only where it is done.
 */
export function protectProcess(env: Environment, config: Config, relaxed: boolean): HardeningResult {
  const refusal = relaxed ? relaxedRefusal(env) : undefined;
  if (refusal !== undefined) throw new CommandError(refusal, ExitCode.refused);
  reexecOnce(config);
  requireTruthfulPeers();
  return harden();
}

export class Boundary {
  readonly #options: BoundaryOptions;
  readonly #rounds: Rounds;
  /** The configuration that the round in progress judges by. */
  #config: Config;
  #last: Pick<Round, 'facts' | 'findings'> | undefined;

  constructor(options: BoundaryOptions) {
    this.#options = options;
    const { config, hardening, boundSocket, relaxed, signal } = options;
    this.#config = config();
    this.#rounds = new Rounds({
      look: (before) => {
        const current = config();
        // A new configuration may refer to new Secrets, which were never compared with the environment.
        const earlier = current === this.#config ? before : undefined;
        this.#config = current;
        return gatherFacts(current, { hardening, boundSocket: boundSocket(), earlier });
      },
      lookAgain: (facts, suspects) => gatherAgain(facts, this.#config, suspects),
      judge: (facts) => runChecks(facts, this.#config),
      relaxed,
      signal,
    });
  }

  /** Where an enforced check fails: a table on stderr, a finding each in the audit, and an error. */
  async prove(): Promise<void> {
    const { relaxed, audit, log } = this.#options;
    const round = await this.#rounds.prove();
    const { findings, broken, passed } = round;
    this.#last = round;
    this.#reportPassed(passed);
    const serves = relaxed || broken.length === 0;
    const noted = findings.filter(
      ({ id, exceptions }) => id === EXCEPTIONS || (serves && exceptions !== undefined),
    );
    for (const finding of [...broken, ...noted]) audit.boundaryFinding(finding);
    if (!serves) {
      this.#showTable(round);
      const { env } = this.#options;
      const hint = relaxedRefusal(env) === undefined ? ' (on a laptop: serve --relaxed)' : '';
      throw new CommandError(
        `the isolation boundary is not proven; nothing is served${hint}`,
        ExitCode.refused,
      );
    }
    if (broken.length > 0) {
      log.warn(
        { failed: broken.map(({ id }) => id) },
        'boundary check failed; serving anyway because of --relaxed',
      );
    } else this.#reportProven(findings);
  }

  /** Goes on checking until the boundary is broken, of which it calls `onBroken`, or the signal comes. */
  keepProving(onBroken: (broken: readonly Finding[]) => void): void {
    const { audit, log } = this.#options;
    void this.#rounds.run({
      onRound: (round) => {
        const before = exceptionsOf(this.#last?.findings ?? []);
        this.#last = round;
        const exceptions = exceptionsOf(round.findings);
        if (exceptions.every((each) => before.includes(each))) return;
        for (const finding of round.findings)
          if (finding.exceptions !== undefined) audit.boundaryFinding(finding);
        this.#reportProven(round.findings);
      },
      onPassed: (passed) => this.#reportPassed(passed),
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

  /** A UID was seen that was not seen before. */
  checkSoon(): void {
    this.#rounds.checkSoon();
  }

  /** For GetStatus; undefined before the first round. */
  get facts(): BoundaryFacts | undefined {
    if (this.#last === undefined) return undefined;
    const { relaxed } = this.#options;
    const { facts, findings } = this.#last;
    return {
      verdict: judge(findings, { relaxed }),
      relaxed,
      findings,
      exceptions: exceptionsOf(findings),
      checkedAtMs: facts.takenAtMs,
    };
  }

  #showTable({ facts, findings }: Round): void {
    const { stderr, env } = this.#options;
    const { sandbox } = this.#config;
    const state = judge(findings, { relaxed: false });
    const report = { version: VERSION, checkedAtMs: facts.takenAtMs, sandbox, state, findings };
    const colour = stderr.isTTY === true && env.NO_COLOR === undefined;
    stderr.write(renderTable(report, { colour, all: false }));
  }

  #reportProven(findings: readonly Finding[]): void {
    const exceptions = exceptionsOf(findings);
    const { log } = this.#options;
    if (exceptions.length === 0) log.info({ checks: findings.length }, provenText(exceptions));
    else log.warn({ checks: findings.length, exceptions }, provenText(exceptions));
  }

  /** Findings of processes that were gone in a moment break nothing, and an operator should know of them. */
  #reportPassed(passed: readonly Finding[]): void {
    const { audit, log } = this.#options;
    for (const finding of passed) {
      const evidence = `${finding.evidence}; gone at the second check`;
      audit.boundaryFinding({ ...finding, severity: 'warn', evidence });
      log.warn(
        { check: finding.id, evidence },
        'a short-lived process violated the isolation boundary and was gone at the second check',
      );
    }
  }
}
