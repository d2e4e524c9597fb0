/**
 * The TCP side: health and metrics. Every pod of the cluster reaches it, the agent included, so no HTTP server is
 * here. A connection gets one short answer from a fixed table and is closed; what it may send and how long it may
 * stay is bounded before anything looks at its bytes.
 */
import type { Socket } from 'node:net';
import type { ListenAddress } from '../config/config.ts';
import { CommandError, ExitCode, errorCode } from '../domain/errors.ts';
import { PORT_LIMITS, type PortLimits, TokenBucket } from '../domain/limits.ts';
import { AddressBudgets } from './address-budgets.ts';
import { Queues } from './queues.ts';

export interface Page {
  readonly status: 200 | 503;
  readonly text: string;
}
/** Path → the page of this moment, which must be ready: nothing is awaited. */
export type Routes = Readonly<Record<string, () => Page>>;

export function healthRoutes(isServing: () => boolean): Routes {
  return {
    // A restart repairs no refused credential and cuts every watch, so alive means that the process answers.
    '/livez': () => ({ status: 200, text: 'ok\n' }),
    '/readyz': () => (isServing() ? { status: 200, text: 'ok\n' } : { status: 503, text: 'not serving\n' }),
  };
}

/** Stands for our own network namespace, the agent's, whatever address of it a connection comes from. */
const OWN = '127.0.0.1';

export class Responder implements AsyncDisposable {
  readonly #routes: ReadonlyMap<string, () => Page>;
  readonly #limits: PortLimits;
  readonly #budgets: AddressBudgets;
  readonly #total: TokenBucket;
  readonly #queues: Queues;
  /** Open connections, oldest first, each with the address that it counts for. */
  readonly #open = new Map<Socket, string>();

  private constructor(routes: Routes, limits: PortLimits) {
    this.#routes = new Map(Object.entries(routes));
    this.#limits = limits;
    this.#budgets = new AddressBudgets(limits);
    this.#total = new TokenBucket(limits.total.perSecond, limits.total.burst, performance.now());
    this.#queues = new Queues(limits, {
      fast: (socket) => this.#admit(socket),
      slow: (socket) => this.#take(socket, OWN),
    });
  }

  /** Listens on `address`, which the configuration has in `field`; throws where it cannot be bound. */
  static async open(
    field: string,
    address: ListenAddress,
    routes: Routes,
    limits: PortLimits = PORT_LIMITS,
  ): Promise<Responder> {
    const responder = new Responder(routes, limits);
    try {
      await responder.#queues.listen(address.host, address.port).catch((error: unknown) => {
        // A kernel without IPv6 has no socket of that family.
        if (address.host !== '::' || errorCode(error) !== 'EAFNOSUPPORT') throw error;
        return responder.#queues.listen('0.0.0.0', address.port);
      });
      return responder;
    } catch (error) {
      await responder[Symbol.asyncDispose]();
      const { host, port } = address;
      const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
      throw new CommandError(
        `${field}: cannot bind ${place}: ${errorCode(error)} (choose a free port)`,
        ExitCode.usage,
      );
    }
  }

  get size(): number {
    return this.#open.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#queues[Symbol.asyncDispose]();
    for (const socket of this.#open.keys()) socket.destroy();
    await closed;
  }

  #admit(socket: Socket): void {
    const now = performance.now();
    const address = isOwn(socket) ? OWN : (socket.remoteAddress ?? OWN);
    const withinTotal = this.#total.take(now);
    const exceeded = this.#budgets.take(address, now);
    if (!withinTotal) this.#queues.relegateAll();
    if (exceeded !== undefined) this.#queues.relegate(exceeded);
    if (withinTotal && exceeded === undefined) {
      this.#take(socket, address);
      return;
    }
    socket.on('error', () => {});
    // With a reset: a flood leaves no sockets in TIME_WAIT behind.
    socket.resetAndDestroy();
  }

  #take(socket: Socket, address: string): void {
    socket.on('error', () => socket.destroy());
    this.#makeRoom(address);
    this.#open.set(socket, address);
    const timer = setTimeout(() => socket.destroy(), this.#limits.connectionMs).unref();
    socket.once('close', () => {
      clearTimeout(timer);
      this.#open.delete(socket);
    });
    this.#hear(socket);
  }

  /** The oldest connection of the same address makes room for its newcomer; where all addresses have filled the port, the oldest of all. */
  #makeRoom(address: string): void {
    const same = [...this.#open].filter(([, other]) => other === address);
    const oldest =
      same.length >= this.#limits.connectionsPerAddress
        ? same[0]?.[0]
        : this.#open.size >= this.#limits.connections
          ? this.#open.keys().next().value
          : undefined;
    if (oldest === undefined) return;
    this.#open.delete(oldest);
    oldest.resetAndDestroy();
  }

  #hear(socket: Socket): void {
    let head = '';
    let reads = 0;
    socket.on('data', (bytes: Buffer) => {
      reads += 1;
      if (head.length + bytes.byteLength > this.#limits.requestBytes || reads > this.#limits.reads) {
        socket.resetAndDestroy();
        return;
      }
      head += bytes.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.removeAllListeners('data').pause();
      socket.end(this.#answer(head.slice(0, head.indexOf('\r\n'))));
      socket.destroySoon();
    });
  }

  #answer(requestLine: string): Buffer {
    const [, method, path] = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(requestLine) ?? [];
    const page = path === undefined ? undefined : this.#routes.get(path);
    if (path === undefined) return response('400 Bad Request', 'not HTTP/1.1\n');
    if (page === undefined) return response('404 Not Found', `try ${[...this.#routes.keys()].join(', ')}\n`);
    if (method !== 'GET') return response('405 Method Not Allowed', 'only GET\n', 'Allow: GET\r\n');
    try {
      const { status, text } = page();
      return response(status === 200 ? '200 OK' : '503 Service Unavailable', text);
    } catch {
      return response('500 Internal Server Error', 'the page cannot be rendered\n');
    }
  }
}

/** Whether the peer shares our network, where the kernel did not tell by the queue: one end is loopback's, or both are the same. */
function isOwn({ remoteAddress = '', localAddress = '' }: Socket): boolean {
  const loopback = (address: string) => /^(::ffff:)?127\.|^::1$/.test(address);
  return remoteAddress === localAddress || loopback(remoteAddress) || loopback(localAddress);
}

/** The content type is Prometheus' own, and a reader of the other pages takes it for the plain text that it is. */
function response(status: string, text: string, header = ''): Buffer {
  return Buffer.from(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n${header}Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
  );
}
