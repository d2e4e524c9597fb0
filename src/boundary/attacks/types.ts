/** What an attack is, and what comes of it. */
import type { Tries, Try, Verdict } from './tries.ts';

/** As {@link Verdict}, for an attack as a whole: its worst try. `not-applicable`: there was nothing to attack. */
export type Outcome = Verdict | 'not-applicable';

export interface Rpc {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: Uint8Array;
  /** Whether a resolver alone answers it: an answer of any listener in the pod is then a finding. */
  readonly ours: boolean;
}

export interface AttackContext {
  /** Where the resolver listens, as the agent would see it. */
  readonly socketPath: string;
  /** Further sockets of the resolver: a consumer may have its own. */
  readonly otherSockets: readonly string[];
  /** Folder below which Secrets are mounted, in the resolver's container. */
  readonly secretsRoot: string;
  /** Secrets known by name, as `<namespace>/<name>`. */
  readonly secrets: readonly string[];
  /** UID of the resolver: a process of this UID is foreign even where we have it too. */
  readonly resolverUid: number | undefined;
  /** Every call that could yield a credential. */
  readonly rpcs: readonly Rpc[];
  /** Mounts that the agent is meant to read, for example a downward API volume. */
  readonly allowedMounts: readonly string[];
  /** Folders to search besides the usual ones. */
  readonly searchPaths: readonly string[];
  /** Whether signals that do harm may be sent. */
  readonly realSignals: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the time of this attack is over. */
  readonly signal: AbortSignal;
}

/** In the order in which they are made: what disturbs the listener comes last. */
export const FAMILIES = [
  'files',
  'processes',
  'socket',
  'network',
  'search',
  'socket-file',
  'flood',
] as const;
export type Family = (typeof FAMILIES)[number];

/** The kernel's ways to say "you may not". */
export const REFUSED: readonly string[] = ['EACCES', 'EPERM'];
/** As {@link REFUSED}, and the call itself kept out by seccomp or missing from the kernel. */
export const CALL_REFUSED = [...REFUSED, 'ENOSYS'];
/** As {@link REFUSED}, and a mount that cannot be written. */
export const CHANGE_REFUSED = [...REFUSED, 'EROFS'];
/** The kernel's ways to say "there is no such thing here". */
export const ABSENT = ['ENOENT', 'ENOTDIR'];
/** What a listener answers that is not the service of credentials. */
export const NO_SERVICE = ['ECONNREFUSED', 'gRPC status UNIMPLEMENTED, no gRPC, or nothing'];
/** What the resolver answers a peer that it does not know. */
export const CLOSED = 'connection closed before any byte';

export type AttackRun = (context: AttackContext, tries: Tries) => Promise<void> | void;

export interface Attack {
  /** Kebab-case; what `--only` and `--accept` take. */
  readonly id: string;
  readonly family: Family;
  /** What is attempted, in a few words. */
  readonly what: string;
  /** Answers that count as `held`. */
  readonly rightReasons: readonly string[];
  readonly budgetMs: number;
  readonly run: AttackRun;
}

export interface AttackReport extends Omit<Attack, 'budgetMs' | 'run'> {
  readonly outcome: Outcome;
  /** One line: the worst answer, or why nothing was tried. */
  readonly reason: string;
  /** Whether the operator said beforehand that this attack may succeed. */
  readonly accepted: boolean;
  /** The worst first; see `omitted`. */
  readonly tries: readonly Try[];
  /** How many further tries there were, all of a verdict that the list shows. */
  readonly omitted: number;
  readonly durationMs: number;
}

export interface SelfTestReport {
  readonly version: string;
  readonly agent: {
    readonly uid: number;
    readonly gid: number;
    readonly groups: readonly number[];
    /** CapEff as the kernel writes it. */
    readonly capabilities: string;
  };
  readonly socketPath: string;
  readonly secretsRoot: string;
  readonly attacks: readonly AttackReport[];
  readonly counts: Readonly<Record<Outcome, number>>;
  readonly passed: boolean;
  readonly durationMs: number;
}
