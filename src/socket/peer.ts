/**
 * Who is at the other end of a connection. Taken from the kernel when the connection is accepted, before a byte
 * of it is read, and compared again at each call.
 *
 * What the kernel records is the process that called connect(). A descriptor can be inherited or handed over:
 *   - after the connecting process has ended, nobody may use its connection any more. Where the peer's PID is
 *     visible, a pidfd (or, before Linux 6.5 and in gVisor, the start time in /proc/<pid>/stat) tells that it has
 *     ended, and that its PID was not given to another process;
 *   - a process that takes another UID is no longer the peer that was let in;
 *   - while it still runs, a process that it gave the descriptor to cannot be told from it. It chose to hand
 *     its connection over: accepted weakness, stated in SECURITY.md;
 *   - a peer of another PID namespace has PID 0 and no such anchor: uid and gid alone decide.
 */
import { closeSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { parseStartTime, parseUptime, statFields } from '../domain/proc-stat.ts';
import {
  type PeerCredentials,
  peerCredentials,
  peerGroups,
  peerPidFd,
  pidFdWatch,
} from '../native/native.ts';

/** What is known of a peer for as long as its connection lasts. */
export interface Peer extends PeerCredentials {
  /** Supplementary groups; undefined where the kernel does not tell. */
  readonly groups: readonly number[] | undefined;
}

/** Why a connection no longer stands for the process that opened it. */
export type PeerFault = 'peer-gone' | 'uid-changed';

/** Holds what ties a connection to the process that opened it. Dispose it with the connection. */
export class PeerAnchor implements Disposable {
  readonly peer: Peer;
  #runs: () => boolean;
  #pidFd: number | undefined;

  private constructor(peer: Peer, runs: () => boolean, pidFd?: number) {
    this.peer = peer;
    this.#runs = runs;
    this.#pidFd = pidFd;
  }

  /**
   * Ties a socket that was just accepted to its process. Throws where the kernel does not answer, or the process has
   * ended: such a connection is closed.
   */
  static identify(
    socketFd: number,
    credentials: PeerCredentials = peerCredentials(socketFd),
    acceptedAt: number = ticksSinceBoot(),
  ): PeerAnchor {
    const peer: Peer = { ...credentials, groups: peerGroups(socketFd) };
    if (peer.pid <= 0) return new PeerAnchor(peer, () => true);
    const pidFd = peerPidFd(socketFd);
    if (pidFd !== undefined) {
      const exited = pidFdWatch(pidFd);
      return new PeerAnchor(peer, () => !exited(), pidFd);
    }
    const started = startTime(peer.pid);
    // A younger process has the PID of a peer that has ended. Start times are ticks of 10 ms, so one that got the PID and
    // the UID of the peer within the tick of the accept is not told apart: a weakness of kernels before 6.5.
    const isPeer = started !== undefined && started <= acceptedAt;
    return new PeerAnchor(peer, () => isPeer && startTime(peer.pid) === started);
  }

  /**
   * Whether the process that connected still runs, with the UID that it connected with. Undefined where it does, or
   * where its PID is not visible to us.
   */
  fault(): PeerFault | undefined {
    if (!this.#runs()) return 'peer-gone';
    if (this.peer.pid <= 0) return undefined;
    const uid = effectiveUid(this.peer.pid);
    if (uid === undefined) return 'peer-gone';
    return uid === this.peer.uid ? undefined : 'uid-changed';
  }

  /**
   * The program that the peer runs at this moment. Only to be believed without a {@link fault}. Undefined where it cannot
   * be known: in another PID namespace, and another UID's without privileges.
   */
  exe(): string | undefined {
    if (this.peer.pid <= 0) return undefined;
    try {
      // A replaced program reads as `path (deleted)` and so matches no rule.
      return readlinkSync(`/proc/${this.peer.pid}/exe`);
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#runs = () => false;
    if (this.#pidFd !== undefined) closeSync(this.#pidFd);
    this.#pidFd = undefined;
  }
}

function ticksSinceBoot(): number {
  return parseUptime(readFileSync('/proc/uptime', 'latin1'));
}

/** Ticks from boot to its start: with the PID that names one process for good. Undefined where it has ended. */
function startTime(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state] = statFields(stat);
    return state === 'Z' || state === 'X' ? undefined : parseStartTime(stat);
  } catch {
    return undefined;
  }
}

/**
 * The UID that decides what the process may do; undefined where it has ended. The kernel gives this folder to the effective
 * UID, also where it gives the files in it to root because the process is not dumpable.
 */
function effectiveUid(pid: number): number | undefined {
  try {
    return statSync(`/proc/${pid}`).uid;
  } catch {
    return undefined;
  }
}
