import type { ConfigIssue } from '../domain/errors.ts';

/** Something that a check of files found. */
export interface ConfigFinding {
  readonly severity: 'error' | 'warning';
  /** Whose rule it is. */
  readonly by: 'OpenShell' | 'secret-resolver' | 'both';
  readonly issue: ConfigIssue;
}
