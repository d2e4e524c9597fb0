/**
 * Whether a TCP peer shares our network namespace. The agent does, and the kubelet does not: a connection's
 * source address is the one thing about it that the agent cannot choose freely, for the answer must reach it.
 *
 * Accepted weakness: with `hostNetwork` the kubelet comes from an address of ours too.
 */
import { networkInterfaces } from 'node:os';

/** Milliseconds that a list of our addresses is good for: a pod's hardly ever change, and asking costs a system call each. */
const REFRESH_MS = 10_000;

/** An address in one form: without the zone of a link-local one, and IPv4 as such when it came in on an IPv6 socket. */
function plain(address: string): string {
  const [bare = ''] = address.split('%');
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice('::ffff:'.length) : bare;
}

export class OwnAddresses {
  #known: ReadonlySet<string> = new Set();
  #at = Number.NEGATIVE_INFINITY;

  /** `now` in milliseconds on a monotonic clock. An address that is not told is taken for ours. */
  has(address: string | undefined, now: number): boolean {
    if (address === undefined) return true;
    const peer = plain(address);
    if (peer === '::1' || peer.startsWith('127.')) return true;
    if (now - this.#at > REFRESH_MS) {
      this.#at = now;
      this.#known = new Set(
        Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((one) => plain(one.address))),
      );
    }
    return this.#known.has(peer);
  }
}
