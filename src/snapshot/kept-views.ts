/** What was encoded for one snapshot and one set of providers, for as long as that snapshot is in force. */
import type { OwnedBytes } from '../domain/owned-bytes.ts';
import type { Snapshot } from './snapshot.ts';

/** Sets of providers that are kept for one snapshot. Callers choose subsets, so their number must have an end. */
const MAX_KEPT = 64;

export class KeptViews<T extends { readonly message: OwnedBytes }> {
  readonly #kept = new WeakMap<Snapshot, Map<string, T>>();

  of(snapshot: Snapshot, providers: readonly string[], make: () => T): T {
    const kept = this.#kept.get(snapshot) ?? new Map<string, T>();
    this.#kept.set(snapshot, kept);
    const id = [...providers].sort().join('\n');
    const known = kept.get(id);
    if (known !== undefined) return known;
    const made = make();
    if (kept.size < MAX_KEPT) kept.set(id, made);
    // It is written in this turn of the event loop or never.
    else setImmediate(() => made.message.retire());
    return made;
  }

  /** Retires what was encoded of a snapshot that was replaced, if there was one. */
  retire(snapshot: Snapshot | undefined): void {
    if (snapshot === undefined) return;
    for (const { message } of this.#kept.get(snapshot)?.values() ?? []) message.retire();
  }
}
