/** What was encoded for one snapshot and one set of providers, for as long as that snapshot is in force. */
import { ERASE_AFTER_MS, type Snapshot } from './snapshot.ts';

/** Sets of providers that are kept for one snapshot. Callers choose subsets, so their number must have an end. */
const MAX_KEPT = 64;

/** Something encoded; whoever keeps it overwrites `bytes` in the end. */
interface Encoded {
  readonly bytes: Buffer;
}

export class KeptViews<T extends Encoded> {
  readonly #kept = new WeakMap<Snapshot, Map<string, T>>();

  /** What is kept, or what `make` makes of it now. */
  of(snapshot: Snapshot, providers: readonly string[], make: () => T): T {
    let kept = this.#kept.get(snapshot);
    if (kept === undefined) {
      kept = new Map();
      this.#kept.set(snapshot, kept);
    }
    const id = [...providers].sort().join('\n');
    const known = kept.get(id);
    if (known !== undefined) return known;
    const made = make();
    if (kept.size < MAX_KEPT) kept.set(id, made);
    return made;
  }

  /** Overwrites what was encoded of a snapshot that was replaced, once every write that began with it is through. */
  retire(snapshot: Snapshot): void {
    const kept = this.#kept.get(snapshot);
    if (kept === undefined) return;
    setTimeout(() => {
      for (const { bytes } of kept.values()) bytes.fill(0);
    }, ERASE_AFTER_MS).unref();
  }
}
