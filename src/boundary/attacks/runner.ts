/** Makes the attacks one after the other, each in its own time, and draws up the report. */
import { once } from 'node:events';
import { errorCode } from '../../domain/errors.ts';
import { VERSION } from '../../domain/version.ts';
import { statusField } from './surroundings.ts';
import { Tries, type Try } from './tries.ts';
import type { Attack, AttackContext, AttackReport, Outcome, SelfTestReport } from './types.ts';

/** Milliseconds for the whole run: an init container that takes longer holds the pod up. */
const RUN_BUDGET_MS = 10_000;
/** Tries listed of an attack. A pod of fifty processes stays readable; what is left out is counted. */
const MAX_LISTED = 64;

export interface RunOptions {
  readonly context: Omit<AttackContext, 'signal'>;
  readonly attacks: readonly Attack[];
  /** Ids of attacks that may succeed: shown, not counted. */
  readonly accepted: readonly string[];
  /** Whether an unclear outcome counts as held. */
  readonly lenient: boolean;
  readonly signal: AbortSignal;
}

/** Runs the attacks. Never rejects because of one: an attack that fails to run is unclear. */
export async function runSelfTest(options: RunOptions): Promise<SelfTestReport> {
  const start = performance.now();
  const whole = AbortSignal.any([options.signal, AbortSignal.timeout(RUN_BUDGET_MS)]);
  const attacks: AttackReport[] = [];
  for (const attack of options.attacks) attacks.push(await runAttack(attack, options, whole));
  const counts: Record<Outcome, number> = { held: 0, broken: 0, unclear: 0, 'not-applicable': 0 };
  for (const { outcome } of attacks) counts[outcome]++;
  return {
    version: VERSION,
    agent: {
      uid: process.getuid?.() ?? -1,
      gid: process.getgid?.() ?? -1,
      groups: process.getgroups?.() ?? [],
      capabilities: statusField('self', 'CapEff'),
    },
    socketPath: options.context.socketPath,
    secretsRoot: options.context.secretsRoot,
    attacks,
    counts,
    passed:
      attacks.some(({ outcome }) => outcome !== 'not-applicable') &&
      attacks.every((report) => isPassed(report, options.lenient)),
    durationMs: Math.round(performance.now() - start),
  };
}

function isPassed({ outcome, accepted }: AttackReport, lenient: boolean): boolean {
  if (outcome === 'held' || outcome === 'not-applicable') return true;
  return accepted || (lenient && outcome === 'unclear');
}

async function runAttack(attack: Attack, options: RunOptions, whole: AbortSignal): Promise<AttackReport> {
  const start = performance.now();
  const tries = new Tries(attack.rightReasons);
  const time = AbortSignal.timeout(attack.budgetMs);
  const signal = AbortSignal.any([whole, time]);
  if (whole.aborted) tries.unclear('not run', 'the time of the whole run was over');
  else await runInTime(attack, { ...options.context, signal }, tries);

  const all = tries.worstFirst;
  const worst = all[0];
  return {
    id: attack.id,
    family: attack.family,
    what: attack.what,
    outcome: worst?.verdict ?? 'not-applicable',
    reason: worst === undefined ? tries.absent : summarise(worst, all),
    rightReasons: attack.rightReasons,
    accepted: options.accepted.includes(attack.id),
    tries: all.slice(0, MAX_LISTED),
    omitted: Math.max(all.length - MAX_LISTED, 0),
    durationMs: Math.round(performance.now() - start),
  };
}

/** What an attack reports after its time is over no longer counts. */
async function runInTime(attack: Attack, context: AttackContext, tries: Tries): Promise<void> {
  const overtime = once(context.signal, 'abort').then(() => 'overtime');
  try {
    const ended = await Promise.race([attack.run(context, tries), overtime]);
    if (ended === 'overtime') tries.unclear('not finished', 'the time of the attack was over');
  } catch (error) {
    // A defect of the attack, or a kernel that answers as no kernel did: not a proof that anything held.
    tries.unclear('could not be made', errorCode(error));
  }
}

/** `pid 7 (node, uid 1337): 120 bytes read`, or for many that held `EACCES ×12, ENOENT`. */
function summarise(worst: Try, all: readonly Try[]): string {
  const alike = all.filter(({ verdict }) => verdict === worst.verdict);
  if (worst.verdict !== 'held') {
    const more = alike.length > 1 ? ` (and ${alike.length - 1} more)` : '';
    return `${worst.target}: ${worst.answer}${more}`;
  }
  return [...Map.groupBy(alike, ({ answer }) => answer)]
    .map(([answer, { length }]) => (length > 1 ? `${answer} ×${length}` : answer))
    .join(', ');
}
