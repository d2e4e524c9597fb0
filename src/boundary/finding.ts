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
