/**
 * A consumer: a wire that snapshots are read over. It is an adapter over the same snapshot, policy, budgets and audit
 * as every other one, with a view of its own: a rule of one consumer withholds nothing from another.
 *
 * To add one: a folder beside native/ that exports a {@link Consumer}, and its line in index.ts; with a part of the
 * configuration, also its line in load-config.ts. The self-test, the audit, health, `serve`'s options, the configuration
 * file with its JSON Schema and docs/reference pick it up.
 */
import type { Rpc } from '../boundary/attacks/types.ts';
import type { Config, PartSlot } from '../config/config.ts';
import type { Limits } from '../domain/limits.ts';
import type { Audit } from '../observe/audit/audit.ts';
import type { Logger } from '../observe/log.ts';
import type { Meter } from '../observe/metrics.ts';
import type { VolumeReads } from '../snapshot/candidates.ts';
import type { SnapshotStore } from '../snapshot/snapshot.ts';
import type { Views } from '../snapshot/views.ts';
import type { GrpcSocketOptions } from '../socket/grpc-socket.ts';
import type { Method } from '../socket/method.ts';
import type { CallRefusal } from '../socket/refusal.ts';
import type { ServingState } from '../socket/serving-state.ts';
import type { StatusFacts, WatchState } from './status-facts.ts';

/** Options of `serve` as commander names them. */
export type ServeOptions = Readonly<Record<string, unknown>>;

export interface Consumer {
  /** For people: log, documentation. */
  readonly name: string;
  readonly description: string;
  /** Its part of the configuration file. */
  // biome-ignore lint/suspicious/noExplicitAny: a part is kept from what it made itself.
  readonly config?: PartSlot<any>;
  /** Options of `serve` that concern it, in commander's form. */
  readonly options?: readonly { readonly flags: string; readonly description: string }[];
  /** Throws CommandError where they do not fit its settings. Asked at the start: a reload may take settings away. */
  readonly refuseOptions?: (settings: unknown, options: ServeOptions) => void;
  /** What those options make of its settings. */
  readonly configure?: (settings: unknown, options: ServeOptions) => unknown;
  /** Every call that could yield a credential, for the self-test to try as the agent. */
  readonly selfTest: (sandboxId: string) => readonly Rpc[];
  /** Undefined where the configuration does not want it. */
  readonly open: (host: ConsumerHost) => OpenConsumer | undefined;
}

/** What a consumer is given. Configuration and reads are those of the moment: a reload changes them. */
export interface ConsumerHost {
  readonly config: () => Config;
  readonly store: SnapshotStore;
  readonly state: ServingState;
  readonly views: Views;
  readonly reads: () => VolumeReads;
  readonly statusFacts: () => StatusFacts;
  readonly processKey: Buffer;
  readonly audit: Audit;
  readonly log: Logger;
  readonly meter: Meter;
  readonly limits: Limits;
  /** Does something once what was written in this turn of the event loop has left the process. */
  readonly afterSending: (work: () => void) => void;
}

export interface OpenConsumer {
  readonly methods: readonly Method[];
  /** A socket of its own; the resolver's unless set. */
  readonly socket?: Pick<GrpcSocketOptions, 'file' | 'callers'> & { readonly limits?: Partial<Limits> };
  /** Ends every stream, for a shutdown or a broken boundary. */
  readonly endAll?: (refusal: CallRefusal) => void;
  /** Withdraws what a connection holds that the rules no longer admit. For a reload, before it is closed. */
  readonly recheck?: () => void;
  readonly watches?: () => readonly WatchState[];
}
