/** What a check says. The words are those of `Finding` and `BoundaryState` in proto/. */

/** `enforce` keeps the resolver from serving, `warn` is reported, `info` is for the record. */
export type Severity = 'enforce' | 'warn' | 'info';

/** `unknown`: the fact could not be taken. For an enforced check that counts as a failure. */
export type Outcome = 'pass' | 'fail' | 'unknown';

export interface Finding {
  /** Stable, kebab-case; `boundary.warn` takes it. */
  readonly id: string;
  readonly severity: Severity;
  readonly outcome: Outcome;
  /** What was seen: numbers, modes and paths, never content. */
  readonly evidence: string;
  /** What to write in the manifest or the configuration; empty where the check passed. */
  readonly remedy: string;
  /** What was let pass although the check was made to stop it, each in a few words. */
  readonly exceptions?: readonly string[];
}

/** What one check found, before the configuration had its say on the severity. */
export interface Verdict extends Omit<Finding, 'id' | 'severity'> {
  /** What protects instead on this container runtime: the check is then an exception, and stops nothing. */
  readonly replacedBy?: string;
}

export function pass(evidence: string, exceptions: Iterable<string> = []): Verdict {
  return { outcome: 'pass', evidence, remedy: '', exceptions: [...new Set(exceptions)] };
}

export function fail(evidence: string, remedy: string): Verdict {
  return { outcome: 'fail', evidence, remedy };
}

export function unknown(evidence: string, remedy: string): Verdict {
  return { outcome: 'unknown', evidence, remedy };
}

/** Most items that one evidence spells out: the rest is counted, so that a finding stays readable. */
const MAX_LISTED = 4;

/** `a; b; c; and 7 more`. */
export function listed(items: readonly string[]): string {
  const shown = items.slice(0, MAX_LISTED).join('; ');
  return items.length <= MAX_LISTED ? shown : `${shown}; and ${items.length - MAX_LISTED} more`;
}

/** `0755`. */
export function modeText(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
