/** May this peer ask, and for what? Pure: peer, policy and facts are arguments. Nothing is allowed that no rule names. */
import type { Caller } from '../config/config.ts';
import { matchGlob } from '../domain/glob.ts';
import { UNMAPPED_UID } from '../domain/kubernetes.ts';
import type { Peer } from './peer.ts';
import type { PeerRefusal } from './refused-peers.ts';

/** A peer that matched a rule, and what that rule lets it see. */
export interface Authorised {
  readonly name: string;
  /** Globs of provider names. */
  readonly providers: readonly string[];
  /** Names and states only: the resolver's own UID, for `status` and `list` from inside its container. */
  readonly namesOnly: boolean;
}

export type PeerDecision = { readonly caller: Authorised } | { readonly refusal: PeerRefusal };

/**
 * Finds the first rule that fits. The UID is the fence; gid and exe narrow a rule and never widen it.
 *
 * A peer with our own UID and a visible PID is a process of our own container: a person who runs `status` in
 * it. It gets names and states. Values it could not be kept from anyhow, but it is not this socket that
 * gives them. A connection that claims to be this very process is none: we make no connection to ourselves, and a
 * kernel that answers with the credentials of the process that asks would let everybody in.
 */
export function authorisePeer(
  peer: Peer,
  exe: () => string | undefined,
  callers: readonly Caller[],
  ownUid: number,
  ownPid = process.pid,
): PeerDecision {
  // 65534 is everybody who has no number here, the agent included: no rule can mean it.
  if (peer.uid === UNMAPPED_UID) return { refusal: 'unmapped-uid' };
  const sameUid = callers.filter((caller) => caller.uid === peer.uid);
  let refusal: PeerRefusal = 'uid-not-listed';
  for (const caller of sameUid) {
    const fault = mismatch(peer, exe, caller);
    if (fault === undefined)
      return { caller: { name: caller.name, providers: caller.providers, namesOnly: false } };
    refusal = fault;
  }
  if (sameUid.length === 0 && peer.uid === ownUid && peer.pid > 0 && peer.pid !== ownPid) {
    return { caller: { name: 'self', providers: ['*'], namesOnly: true } };
  }
  return { refusal };
}

function mismatch(peer: Peer, exe: () => string | undefined, caller: Caller): PeerRefusal | undefined {
  if (caller.gid !== undefined && caller.gid !== peer.gid && !(peer.groups ?? []).includes(caller.gid)) {
    return 'gid-not-listed';
  }
  if (caller.exe === undefined) return undefined;
  const found = exe();
  if (found === undefined) return 'exe-unreadable';
  return matchGlob(caller.exe, found, '/') ? undefined : 'exe-not-listed';
}

/**
 * Why no rule can fit this UID, whatever else is known of the peer; undefined where one may. The first look, so
 * that a flood of strangers costs one system call each.
 */
export function strangerRefusal(
  uid: number,
  callers: readonly Caller[],
  ownUid: number,
): PeerRefusal | undefined {
  if (uid === UNMAPPED_UID) return 'unmapped-uid';
  return uid === ownUid || callers.some((caller) => caller.uid === uid) ? undefined : 'uid-not-listed';
}

/** Whether a rule lets its caller see a provider. */
export function maySee(caller: Pick<Authorised, 'providers'>, provider: string): boolean {
  return caller.providers.some((pattern) => matchGlob(pattern, provider));
}

/**
 * The providers of a request, or undefined where one of them does not exist or may not be seen: the caller
 * cannot tell which. An empty request means all that the caller may see.
 */
export function selectProviders(
  caller: Authorised,
  requested: readonly string[],
  known: readonly string[],
): readonly string[] | undefined {
  const visible = known.filter((provider) => maySee(caller, provider));
  if (requested.length === 0) return visible;
  return requested.every((provider) => visible.includes(provider)) ? [...new Set(requested)] : undefined;
}
