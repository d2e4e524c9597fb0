/** What a complaint about a file must be like, whatever the file holds. */
import { ConfigError, type ConfigIssue } from '../../src/domain/errors.ts';
import type { Planted } from './planted.ts';
import { must } from './target.ts';

/** What `load` gives, or the issues of the ConfigError that it threw, which are as they must be. */
export function loadedOrComplained<T>(
  load: () => T,
  planted: Planted,
  folder: string,
): { readonly value: T } | { readonly issues: readonly ConfigIssue[] } {
  try {
    return { value: load() };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    must(error.issues.length > 0, 'a ConfigError without an issue');
    planted.notIn(`${error.message} ${error.stack}`, 'the message of a ConfigError');
    for (const issue of error.issues) checkIssue(issue, planted, folder);
    return { issues: error.issues };
  } finally {
    must(Object.keys(Object.prototype).length === 0, 'every object has a new property');
  }
}

export function checkIssue(issue: ConfigIssue, planted: Planted, folder: string): void {
  const { file, line, column, field, message, hint } = issue;
  planted.notIn(JSON.stringify(issue), 'an issue');
  must(file.startsWith(folder), 'an issue names a file that is not ours');
  must(
    Number.isInteger(line) && line >= 0 && Number.isInteger(column) && column >= 0,
    'an issue has no place',
  );
  must(message !== '' && hint !== '', 'an issue says nothing, or not what to do');
  must(!/[\x00-\x1f\x7f]/.test(`${field}${message}${hint}`), 'an issue has control characters');
  must(field.length + message.length + hint.length < 2_000, 'an issue is longer than anybody reads');
}
