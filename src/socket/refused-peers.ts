/** Which peers were refused at accept, and how often: for status, and the first of each kind for the log. */
import type { AuditedCaller } from '../observe/audit/record.ts';
import type { Logger } from '../observe/log.ts';

/** UIDs and reasons that are kept apart. A user namespace gives an attacker 65,536 UIDs; the audit counts them all. */
const MAX_KEPT = 16;

/** Why a peer is no caller, and what to do about it. */
const REMEDIES = {
  unidentified: 'the peer ended before it could be identified',
  'unmapped-uid': 'run the peer in the same user namespace as the resolver',
  'uid-not-listed':
    "if this is your supervisor, set `uid` in `callers` to the runAsUser of the supervisor's container",
  'gid-not-listed': 'if this is your supervisor, correct or remove `gid` in `callers`',
  'exe-not-listed': 'if this is your supervisor, correct or remove `exe` in `callers`',
  'exe-unreadable': 'remove `exe` from `callers`: the program of another UID cannot be read',
  'too-many-connections': 'reuse connections: a UID has a budget of them',
};

export type PeerRefusal = keyof typeof REMEDIES;

export interface RefusedPeer {
  readonly uid: number | undefined;
  readonly reason: string;
  readonly count: number;
  /** Unix milliseconds of the last one. */
  readonly lastMs: number;
}

export class RefusedPeers {
  readonly #log: Logger;
  readonly #kept = new Map<string, RefusedPeer>();

  constructor(log: Logger) {
    this.#log = log;
  }

  get list(): readonly RefusedPeer[] {
    return [...this.#kept.values()];
  }

  add({ uid, gid, pid }: AuditedCaller, reason: PeerRefusal): void {
    const id = `${uid} ${reason}`;
    const before = this.#kept.get(id);
    if (before === undefined && this.#kept.size >= MAX_KEPT) return;
    this.#kept.set(id, { uid, reason, count: (before?.count ?? 0) + 1, lastMs: Date.now() });
    // The self-test connects as the agent at every start: no warning, and once.
    if (before === undefined)
      this.#log.info({ uid, gid, pid, reason, todo: REMEDIES[reason] }, 'peers of this UID are refused');
  }
}
