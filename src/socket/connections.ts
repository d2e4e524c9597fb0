/**
 * Accept → identify → authorise → inject. Only a connection whose peer the operator lists is ever handed to
 * HTTP/2; all others are closed with not a byte read. Nothing is awaited between accept and the decision, so
 * the event loop has no moment in which it could read.
 */
import type { Socket } from 'node:net';
import type { Caller } from '../config/config.ts';
import type { Limits } from '../domain/limits.ts';
import { descriptorOf, hangUpWatch, libuvHandle, peerCredentials } from '../native/native.ts';
import { type AuditedCaller, NOBODY } from '../observe/audit/record.ts';
import { PeerAnchor, type PeerFault } from './peer.ts';
import { type Authorised, authorisePeer, strangerRefusal } from './policy.ts';
import type { PeerRefusal } from './refused-peers.ts';
import type { Readable } from './throttle.ts';
import { UidUsage } from './usage.ts';

export interface ConnectionsOptions {
  /** The rules of this moment: a reload changes them. */
  readonly callers: () => readonly Caller[];
  readonly ownUid: number;
  readonly limits: Limits;
  /** Gives the connection to HTTP/2, and returns how to end it once what was answered is sent. */
  readonly inject: (socket: Socket, connection: PeerConnection) => () => void;
  readonly onRefused: (caller: AuditedCaller, refusal: PeerRefusal) => void;
  /** Called before the decision, with the UID of a peer that was not seen before. */
  readonly onNewUid?: (uid: number) => void;
}

export interface PeerConnection extends Readable {
  readonly caller: Authorised;
  readonly audited: AuditedCaller;
  readonly usage: UidUsage;
  /** Beyond the limit: every call is refused. */
  readonly excess: boolean;
  /** Notes that a call began, which ends the time that the peer has for its first. */
  readonly began: () => void;
  /** Why the process that connected no longer is the peer that was let in, or no longer fits its rule. */
  readonly stillAllowed: () => PeerRefusal | PeerFault | undefined;
  /** Closes it once what was answered is sent. */
  readonly finish: () => void;
}

/** How many UIDs are remembered as seen: a bound for a user namespace that offers 65,536. */
const MAX_SEEN_UIDS = 1_024;

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #open = new Set<PeerConnection>();
  readonly #usage = new Map<number, UidUsage>();
  readonly #seenUids = new Set<number>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Closes every connection whose peer the rules no longer admit. For a reload. */
  recheck(): void {
    for (const connection of [...this.#open]) {
      if (connection.stillAllowed() !== undefined) connection.close();
    }
  }

  accept(socket: Socket): void {
    // A peer that goes away is no event; without a listener it would end the process.
    socket.on('error', () => socket.destroy());
    const fd = descriptorOf(socket);
    const { limits, ownUid } = this.#options;
    let anchor: PeerAnchor;
    try {
      const credentials = peerCredentials(fd);
      this.#noteUid(credentials.uid);
      const stranger = strangerRefusal(credentials.uid, this.#options.callers(), ownUid);
      if (stranger !== undefined) {
        this.#refuse(socket, { ...NOBODY, ...credentials }, stranger);
        return;
      }
      anchor = PeerAnchor.identify(fd, credentials);
    } catch {
      this.#refuse(socket, NOBODY, 'unidentified');
      return;
    }
    const decision = authorisePeer(anchor.peer, () => anchor.exe(), this.#options.callers(), ownUid);
    if ('refusal' in decision) {
      this.#refuse(socket, audited(anchor, undefined), decision.refusal);
      anchor[Symbol.dispose]();
      return;
    }
    const usage = this.#usageOf(anchor.peer.uid);
    const hungUp = hangUpWatch(fd);
    const full = usage.connections >= limits.connectionsPerUid + limits.excessConnectionsPerUid;
    if (full || hungUp() || !usage.accepts.take(performance.now())) {
      // A peer that has hung up is no event; it connected, and no more.
      if (hungUp()) socket.destroy();
      else this.#refuse(socket, audited(anchor, undefined), 'too-many-connections');
      anchor[Symbol.dispose]();
      return;
    }
    this.#admit(socket, hungUp, anchor, decision.caller, usage);
  }

  #admit(
    socket: Socket,
    hungUp: () => boolean,
    anchor: PeerAnchor,
    caller: Authorised,
    usage: UidUsage,
  ): void {
    const firstCall = setTimeout(() => socket.destroy(), this.#options.limits.firstCallTimeoutMs).unref();
    const rule = JSON.stringify(caller);
    const { uid } = anchor.peer;
    /** The rules that let the peer in, where its program cannot change what they say; undefined where it can. */
    const settledBy = (rules: readonly Caller[]) =>
      rules.some((one) => one.uid === uid && one.exe !== undefined) ? undefined : rules;
    let settled = settledBy(this.#options.callers());
    let finish = () => {};
    const connection: PeerConnection = {
      caller,
      audited: audited(anchor, caller.name),
      usage,
      excess: usage.connections >= this.#options.limits.connectionsPerUid,
      began: () => clearTimeout(firstCall),
      stillAllowed: () => {
        const fault = anchor.fault();
        if (fault !== undefined) return fault;
        const rules = this.#options.callers();
        if (rules === settled) return undefined;
        const again = authorisePeer(anchor.peer, () => anchor.exe(), rules, this.#options.ownUid);
        if ('refusal' in again) return again.refusal;
        // A reload that gave the peer another rule: it must come again and be judged anew.
        if (JSON.stringify(again.caller) !== rule) return 'uid-not-listed';
        settled = settledBy(rules);
        return undefined;
      },
      finish: () => finish(),
      close: () => socket.destroy(),
      get bytesRead() {
        return socket.bytesRead;
      },
      hungUp,
      // HTTP/2 reads from the handle, past the socket's own pause().
      stop: () => libuvHandle(socket)?.readStop?.(),
      resume: () => libuvHandle(socket)?.readStart?.(),
    };
    this.#open.add(connection);
    usage.connections += 1;
    socket.once('close', () => {
      clearTimeout(firstCall);
      usage.connections -= 1;
      usage.throttle.delete(connection);
      this.#open.delete(connection);
      anchor[Symbol.dispose]();
    });
    finish = this.#options.inject(socket, connection);
    usage.throttle.add(connection);
  }

  #refuse(socket: Socket, caller: AuditedCaller, refusal: PeerRefusal): void {
    socket.destroy();
    this.#options.onRefused(caller, refusal);
  }

  #usageOf(uid: number): UidUsage {
    const usage = this.#usage.get(uid) ?? new UidUsage(this.#options.limits, performance.now());
    this.#usage.set(uid, usage);
    return usage;
  }

  #noteUid(uid: number): void {
    if (this.#seenUids.has(uid) || this.#seenUids.size >= MAX_SEEN_UIDS) return;
    this.#seenUids.add(uid);
    this.#options.onNewUid?.(uid);
  }
}

function audited(anchor: PeerAnchor, name: string | undefined): AuditedCaller {
  const { uid, gid, pid } = anchor.peer;
  // For a refused peer the exe is not worth a system call: a flood of them must stay cheap.
  return { name, uid, gid, pid, exe: name === undefined ? undefined : anchor.exe() };
}
