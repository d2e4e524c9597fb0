/**
 * Changes in as many records as an auditor needs: one each, but where many keys of one Secret change alike, one for
 * hundreds of them. A Secret may have ten thousand keys, and a record of its own takes a kilobyte.
 */
import { secretId } from '../../config/config.ts';
import type { CredentialChange } from '../../snapshot/snapshot.ts';

/** Changes of one Secret and kind that still have a record each. */
const ALONE = 16;
/** Keys that one record names. */
const KEYS_PER_RECORD = 500;

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
  return [...alike.values()].flatMap((group) => {
    const size = group.length <= ALONE ? 1 : KEYS_PER_RECORD;
    const parts = Map.groupBy(group, (_, index) => Math.floor(index / size)).values();
    return [...parts].flatMap((part) => part.slice(0, 1).map((change) => ({ change, keys: keysOf(part) })));
  });
}

function keysOf(changes: readonly CredentialChange[]): string[] {
  return changes.map(({ key }) => key);
}
