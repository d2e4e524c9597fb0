/** What replaces a check where the container does not run on the node's own kernel. */
import { RUNTIME_NAMES, type SandboxedRuntime, SHARED_FILE_SYSTEMS } from '../../../domain/runtimes.ts';
import type { Verdict } from '../../control.ts';
import type { Facts } from '../../facts/facts.ts';

type Replacements = Readonly<Record<SandboxedRuntime, string>>;

/** The verdict as an exception, if `by` says what replaces the check on this runtime. */
export function replacedOn({ runtime: { kind } }: Facts, verdict: Verdict, by: Replacements): Verdict {
  if (verdict.outcome === 'pass' || kind === undefined) return verdict;
  return { ...verdict, replacedBy: `${RUNTIME_NAMES[kind]}: ${by[kind]}` };
}

/** The same for a check that needs to see the Secret volumes themselves, if the runtime's share hides them. */
export function replacedBehindShare(facts: Facts, verdict: Verdict, by: Replacements): Verdict {
  const { secrets } = facts.mounts;
  const explained = secrets.every(
    ({ mount }) => mount !== undefined && ['tmpfs', ...SHARED_FILE_SYSTEMS].includes(mount.type),
  );
  return explained ? replacedOn(facts, verdict, by) : verdict;
}
