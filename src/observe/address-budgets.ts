/** How many connections an address may make. Pure: the clock is an argument. */
import { type PortLimits, type Rate, TokenBucket } from '../domain/limits.ts';

/** Prefixes that are remembered. The least recent is forgotten, which gives it its burst again and harms no other. */
const MAX_REMEMBERED = 1_024;

export class AddressBudgets {
  readonly #limits: Pick<PortLimits, 'perAddress' | 'perNetwork'>;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(limits: Pick<PortLimits, 'perAddress' | 'perNetwork'>) {
    this.#limits = limits;
  }

  /**
   * Counts one more connection. Returns the prefix whose budget it exceeds: the address, or its /64 of IPv6, whose owner
   * has more addresses than can be remembered. An address by itself cannot use up its /64: kubelet's is often that of
   * all pods on the node.
   */
  take(address: string, now: number): Buffer | undefined {
    const bytes = addressBytes(address);
    const { perAddress, perNetwork } = this.#limits;
    if (!this.#take(bytes, perAddress, now)) return bytes;
    const network = bytes.subarray(0, 8);
    return bytes.length === 4 || this.#take(network, perNetwork, now) ? undefined : network;
  }

  #take(prefix: Buffer, { perSecond, burst }: Rate, now: number): boolean {
    const key = prefix.toString('hex');
    const bucket = this.#buckets.get(key) ?? new TokenBucket(perSecond, burst, now);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MAX_REMEMBERED) break;
      this.#buckets.delete(oldest);
    }
    return bucket.take(now);
  }
}

/** 4 bytes of IPv4, also where it is mapped into IPv6, or 16 of IPv6. `text` is as Node prints the kernel's address. */
export function addressBytes(text: string): Buffer {
  const [bare = ''] = text.split('%');
  const dotted = bare.slice(bare.lastIndexOf(':') + 1);
  if (dotted.includes('.')) return Buffer.from(dotted.split('.').map(Number));
  const [head = '', tail] = bare.split('::');
  const groups = (part: string | undefined) => (part ? part.split(':') : []);
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(zeros).fill('0'), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
