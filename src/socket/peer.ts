/**
 * Who is at the other end of a connection. Taken from the kernel when the connection is accepted, before a byte
 * of it is read, and compared again at each call.
 *
 * What the kernel records is the process that called connect(). A descriptor can be inherited or handed over:
 *   - after the connecting process has ended, nobody may use its connection any more. Where the peer's PID is
 *     visible, a pidfd (or, before Linux 6.5, the start time in /proc/<pid>/stat) tells that it has ended, and
 *     that its PID was not given to another process;
 *   - while it still runs, a process that it gave the descriptor to cannot be told from it. It chose to hand
 *     its connection over: accepted weakness, stated in SECURITY.md;
 *   - a peer of another PID namespace has PID 0 and no such anchor: uid and gid alone decide.
 */
import { closeSync, readFileSync, readlinkSync } from 'node:fs';
import { errorCode } from '../domain/errors.ts';
import {
  type PeerCredentials,
  peerCredentials,
  peerGroups,
  peerPidFd,
  pidFdWatch,
} from '../native/native.ts';

/** What is known of a peer for as long as its connection lasts. */
export interface Peer {
  /** 0 where the peer lives in another PID namespace. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups; undefined where the kernel does not tell. */
  readonly groups: readonly number[] | undefined;
}

/** The program that a peer runs: its path, or why it cannot be known (another UID's is readable with privileges only). */
export type PeerExe = { readonly path: string } | { readonly unreadable: string };

/** Holds what ties a connection to the process that opened it. Dispose it with the connection. */
export class PeerAnchor implements Disposable {
  readonly peer: Peer;
  #pidFd: number | undefined;
  readonly #exited: (() => boolean) | undefined;
  readonly #startTime: string | undefined;
  #disposed = false;

  private constructor(peer: Peer, pidFd: number | undefined, startTime: string | undefined) {
    this.peer = peer;
    this.#pidFd = pidFd;
    this.#exited = pidFd === undefined ? undefined : pidFdWatch(pidFd);
    this.#startTime = startTime;
  }

  /** Ties a connected socket to its process. Throws where the kernel does not answer: such a connection is closed. */
  static identify(socketFd: number, credentials: PeerCredentials = peerCredentials(socketFd)): PeerAnchor {
    const peer: Peer = { ...credentials, groups: peerGroups(socketFd) };
    if (peer.pid <= 0) return new PeerAnchor(peer, undefined, undefined);
    const pidFd = peerPidFd(socketFd);
    return new PeerAnchor(peer, pidFd, pidFd === undefined ? startTime(peer.pid) : undefined);
  }

  /** Whether the process that connected still runs; true where its PID is not visible to us. */
  stillRuns(): boolean {
    if (this.#disposed) return false;
    if (this.peer.pid <= 0) return true;
    if (this.#exited !== undefined) return !this.#exited();
    // No pidfd and no start time: the process was gone before we looked.
    return this.#startTime !== undefined && startTime(this.peer.pid) === this.#startTime;
  }

  /** The program that the peer runs at this moment. Only to be believed while {@link stillRuns}. */
  exe(): PeerExe {
    if (this.peer.pid <= 0) return { unreadable: 'the peer lives in another PID namespace' };
    try {
      // A replaced program reads as `path (deleted)` and so matches no rule.
      return { path: readlinkSync(`/proc/${this.peer.pid}/exe`) };
    } catch (error) {
      return { unreadable: errorCode(error) };
    }
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    if (this.#pidFd !== undefined) closeSync(this.#pidFd);
    this.#pidFd = undefined;
  }
}

/** Field 22 of /proc/<pid>/stat, in clock ticks since boot: with the PID it names one process for good. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command name is in parentheses and may hold anything; the last `)` ends it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const state = fields[0];
    return state === 'Z' || state === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
