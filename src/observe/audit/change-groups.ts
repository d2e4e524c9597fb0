/**
 * Changes in as many records as an auditor needs: one each, but where many keys of one Secret change alike, one for
 * hundreds of them. A Secret may have ten thousand keys, and a record of its own takes a kilobyte.
 */
import { secretId } from '../../config/config.ts';
import type { CredentialChange } from '../../snapshot/snapshot.ts';

/** Changes of one Secret and kind that still have a record each. */
export const ALONE = 16;
/** Keys that one record names. */
export const KEYS_PER_RECORD = 500;

export interface ChangeGroup {
  /** The change, or the first of those that are alike. */
  readonly change: CredentialChange;
  /** The environment names, which are the Secret's keys too, where there is more than one. */
  readonly keys: readonly string[];
}

export function groupChanges(changes: readonly CredentialChange[]): ChangeGroup[] {
  const alike = Map.groupBy(changes, ({ kind, provider, key, reference, reason, required }) =>
    // A renamed key has a name of its own and a record of its own.
    JSON.stringify([kind, provider, secretId(reference), reason, required, key === reference.key ? '' : key]),
  );
  return [...alike.values()].flatMap((group) =>
    group.length <= ALONE ? group.map((change) => ({ change, keys: [change.key] })) : recordsOf(group),
  );
}

function recordsOf(group: readonly CredentialChange[]): ChangeGroup[] {
  const records: ChangeGroup[] = [];
  for (let from = 0; from < group.length; from += KEYS_PER_RECORD) {
    const part = group.slice(from, from + KEYS_PER_RECORD);
    const [change] = part;
    if (change !== undefined) records.push({ change, keys: part.map(({ key }) => key) });
  }
  return records;
}
