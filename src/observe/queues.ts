/**
 * A TCP port with two queues in the kernel. The fast one is for kubelet, Prometheus and neighbours, and each connection in it is
 * accepted at once. The slow one is for our own network namespace, the agent's, and for addresses that came too often:
 * one connection is accepted at fixed intervals, so a flood costs the same as a visitor, and what does not fit in its short queue is
 * dropped by the kernel in the flooder's own time.
 *
 * Accepted weaknesses: with `hostNetwork`, or behind a service mesh that forwards probes, kubelet comes from our own network
 * too. On a kernel without SO_REUSEPORT programs (gVisor) there is one queue, and to refuse costs an accept.
 */
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { type AddressInfo, createServer, type ListenOptions, type Server, Socket } from 'node:net';
import type { PortLimits } from '../domain/limits.ts';
import { descriptorOf } from '../native/native.ts';
import { acceptOne, duplicate, setReceiveBuffer, steer } from '../native/tcp.ts';

export class Queues implements AsyncDisposable {
  readonly #limits: PortLimits;
  readonly #fast: Server;
  readonly #onSlow: (socket: Socket) => void;
  /** Descriptor of the slow queue's socket; undefined where there is none. */
  #slow: number | undefined;
  #pace: NodeJS.Timeout | undefined;
  /** Prefixes that are sent to the slow queue, by their hexadecimal form. */
  readonly #relegated = new Map<string, Buffer>();
  #allRelegated = false;

  constructor(
    limits: PortLimits,
    onConnection: { readonly fast: (socket: Socket) => void; readonly slow: (socket: Socket) => void },
  ) {
    this.#limits = limits;
    this.#fast = createServer({ noDelay: true }, onConnection.fast);
    this.#onSlow = onConnection.slow;
  }

  async listen(host: string, port: number): Promise<void> {
    const { backlog, slow, requestBytes } = this.#limits;
    // Alone at first: SO_REUSEPORT would let a second resolver of our UID share the port instead of failing.
    const alone = nobody();
    const bound = await listen(alone, { host, port });
    await alone[Symbol.asyncDispose]();
    // The kernel numbers them in the order in which they listen: the slow one is the first.
    const first = nobody();
    await listen(first, { host, port: bound, backlog: slow.backlog, reusePort: true });
    setReceiveBuffer(descriptorOf(first), requestBytes);
    this.#slow = duplicate(descriptorOf(first));
    // The socket stays, and Node no longer accepts from it.
    await first[Symbol.asyncDispose]();
    await listen(this.#fast, { host, port: bound, backlog, reusePort: true });
    setReceiveBuffer(descriptorOf(this.#fast), requestBytes);
    // From here on an error costs a connection, never the process.
    this.#fast.on('error', () => {});
    if (this.#steer()) this.#pace = setInterval(() => this.#acceptSlow(), slow.everyMs).unref();
    else this.#closeSlow();
  }

  relegate(prefix: Buffer): void {
    const key = prefix.toString('hex');
    if (this.#relegated.has(key) || this.#relegated.size >= this.#limits.relegated) return;
    this.#relegated.set(key, prefix);
    this.#steerUntil(this.#limits.relegatedMs, () => this.#relegated.delete(key));
  }

  relegateAll(): void {
    if (this.#allRelegated) return;
    this.#allRelegated = true;
    this.#steerUntil(this.#limits.allRelegatedMs, () => {
      this.#allRelegated = false;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#pace);
    this.#closeSlow();
    await this.#fast[Symbol.asyncDispose]();
  }

  #steer(): boolean {
    if (this.#slow === undefined) return false;
    return steer(this.#slow, this.#allRelegated ? 'all' : [...this.#relegated.values()]);
  }

  #steerUntil(milliseconds: number, end: () => void): void {
    this.#steer();
    setTimeout(() => {
      end();
      this.#steer();
    }, milliseconds).unref();
  }

  #acceptSlow(): void {
    const fd = this.#slow === undefined ? undefined : acceptOne(this.#slow);
    if (fd !== undefined) this.#onSlow(new Socket({ fd, readable: true, writable: true }));
  }

  #closeSlow(): void {
    if (this.#slow !== undefined) closeSync(this.#slow);
    this.#slow = undefined;
  }
}

function nobody(): Server {
  const server = createServer();
  server.maxConnections = 0;
  return server;
}

/** Listens and returns the port. */
async function listen(server: Server, options: ListenOptions): Promise<number> {
  await once(server.listen(options), 'listening');
  return (server.address() as AddressInfo).port;
}
