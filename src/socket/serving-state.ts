/** Why nothing can be served at this moment, if so. One place that health, calls and GetStatus ask. */
import type { Snapshot, SnapshotStore } from '../snapshot/snapshot.ts';
import { type CallRefusal, socketRefusal } from './refusal.ts';

export class ServingState {
  readonly #store: SnapshotStore;
  #draining = false;
  #listening = false;
  #broken: readonly string[] | undefined;
  readonly #listeners = new Set<() => void>();

  constructor(store: SnapshotStore) {
    this.#store = store;
    store.subscribe(() => this.#changed());
  }

  /** The socket is bound, or was lost. */
  setListening(listening: boolean): void {
    this.#listening = listening;
    this.#changed();
  }

  /** No way back: the process is about to end. */
  setDraining(): void {
    this.#draining = true;
    this.#changed();
  }

  /** No way back: an enforced check of the boundary failed. */
  setBoundaryBroken(findings: readonly string[]): void {
    this.#broken = findings;
    this.#changed();
  }

  /** The snapshot in force, or why there is none to serve from. */
  snapshot(): { readonly snapshot: Snapshot } | { readonly refusal: CallRefusal } {
    if (this.#broken !== undefined)
      return { refusal: socketRefusal({ kind: 'boundary-broken', findings: this.#broken }) };
    if (this.#draining) return { refusal: socketRefusal({ kind: 'draining' }) };
    const snapshot = this.#store.current();
    return snapshot === undefined ? { refusal: socketRefusal({ kind: 'not-ready' }) } : { snapshot };
  }

  /** What `grpc.health.v1` says. */
  isServing(): boolean {
    const state = this.snapshot();
    return (
      this.#listening && 'snapshot' in state && !state.snapshot.refusals.some(({ required }) => required)
    );
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
