/** Why nothing can be served at this moment, if so. One place that health, calls and GetStatus ask. */
import { type CredentialRefusal, REMEDIES } from '../snapshot/refusal.ts';
import type { Snapshot, SnapshotStore } from '../snapshot/snapshot.ts';
import { type CallRefusal, type SocketRefusal, socketRefusal } from './refusal.ts';

type Fault = Extract<SocketRefusal, { kind: 'boundary-broken' | 'draining' | 'not-ready' }>;

const FAULT_REMEDIES = {
  'boundary-broken': 'fix what `secret-resolver check` reports as failed, then restart the pod',
  draining: 'the resolver is ending; wait for the next one',
  'not-ready': 'the first read of the Secrets is under way; wait',
  'socket-lost':
    'nothing but the resolver may write the folder of socket.path; the log says why it cannot be bound again',
} satisfies Readonly<Record<Fault['kind'] | 'socket-lost', string>>;

/** Causes that are told: a profile may require many keys, and `list` has them all. */
const MAX_CAUSES = 20;

export interface NotServing {
  readonly reason: string;
  readonly remedy: string;
  /** The required credential that is refused, where that is the cause. */
  readonly credential?: Pick<CredentialRefusal, 'provider' | 'key' | 'reference'>;
}

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
    const current = this.#current();
    return 'kind' in current ? { refusal: socketRefusal(current) } : { snapshot: current };
  }

  /** Why `grpc.health.v1` says NOT_SERVING, {@link MAX_CAUSES} at most; empty where it does not. */
  notServing(): readonly NotServing[] {
    const current = this.#current();
    if ('kind' in current) return [fault(current.kind)];
    const refused = current.refusals.filter(({ required }) => required).map(refusedCredential);
    return (this.#listening ? refused : [fault('socket-lost'), ...refused]).slice(0, MAX_CAUSES);
  }

  isServing(): boolean {
    return this.notServing().length === 0;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #current(): Snapshot | Fault {
    if (this.#broken !== undefined) return { kind: 'boundary-broken', findings: this.#broken };
    if (this.#draining) return { kind: 'draining' };
    return this.#store.current() ?? { kind: 'not-ready' };
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function fault(reason: keyof typeof FAULT_REMEDIES): NotServing {
  return { reason, remedy: FAULT_REMEDIES[reason] };
}

function refusedCredential({ reason, provider, key, reference }: CredentialRefusal): NotServing {
  return { reason, remedy: REMEDIES[reason], credential: { provider, key, reference } };
}
