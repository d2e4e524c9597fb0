/** The product as it is built, in a process of its own, with its audit drained by another. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { NODE } from '../../test/support/checkout.ts';
import { IMAGE_ENVIRONMENT, Product } from '../../test/support/product.ts';
import { newSecret } from '../../test/support/secrets.ts';
import { NAMESPACE, Workspace } from '../../test/support/workspace.ts';
import type { Cgroup } from './cgroup.ts';
import { BARE_ENVIRONMENT, commandIn, killed, ours } from './child.ts';
import { generation } from './generations.ts';
import { cpuNs } from './proc.ts';

const SECRET = 'nvbugs';
const START_TIMEOUT_MS = 30_000;
/** Milliseconds between two looks for the socket; what a start is overestimated by at most. */
const POLL_MS = 0.25;

let product: Product | undefined;

/** What a container runs: the image's entry point, with the workspace's folder in place of the image's. */
function serveCommand({ configFile, socket }: Workspace): readonly string[] {
  if (product === undefined) {
    const built = new Product();
    process.once('exit', () => built[Symbol.dispose]());
    product = built;
  }
  // The boundary of a bare machine is no pod's: --relaxed takes all facts and judges them, and goes on.
  return [...product.entry(socket), 'serve', '--relaxed', '--config', configFile];
}

/** How a resolver is started besides. */
interface Surroundings {
  /** Lets kubelet probe it at this port of loopback. */
  readonly healthPort?: number;
  readonly cgroup?: Cgroup | undefined;
}

/** When what happened, in milliseconds since the process was spawned. */
export interface StartTimes {
  /** The process runs under the flags that it is to serve under: at once where it was started with them. */
  readonly flaggedMs: number;
  /** The socket can be connected to. */
  readonly socketMs: number;
  /** Health.Watch says SERVING. */
  readonly servingMs: number;
  /** What all its threads had run by then. */
  readonly cpuMs: number;
}

export class ResolverProcess implements AsyncDisposable {
  readonly workspace: Workspace;
  readonly keys: number;
  /** What every value begins with. */
  readonly prefix: string;
  readonly #sink: ChildProcess;
  readonly #fifo: number;
  readonly #log: string;
  readonly #cgroup: Cgroup | undefined;
  #child: ChildProcess | undefined;
  #spawnedAt = 0;

  private constructor(keys: number, { healthPort, cgroup }: Surroundings = {}) {
    this.workspace = new Workspace();
    this.#cgroup = cgroup;
    if (healthPort !== undefined)
      this.workspace.writeConfig({ health: { listen: `127.0.0.1:${healthPort}` } });
    this.keys = keys;
    this.prefix = newSecret('rot');
    this.#log = join(this.workspace.root, 'log');
    this.workspace.writeBulkProvider(SECRET, SECRET);
    this.workspace.secret(SECRET).write(generation(this.prefix, 0, keys));
    const fifo = join(this.workspace.root, 'audit');
    execFileSync('mkfifo', [fifo]);
    this.#sink = ours(spawn('cat', [fifo], { stdio: ['ignore', 'ignore', 'inherit'] }));
    // Both ends, so that neither waits for the other to open it.
    this.#fifo = openSync(fifo, 'r+');
  }

  /** Everything but the start: the configuration, and a Secret of `keys` keys, each of which is a credential. */
  static prepare(keys: number): ResolverProcess {
    return new ResolverProcess(keys);
  }

  static async serving(keys: number, surroundings?: Surroundings): Promise<ResolverProcess> {
    const resolver = new ResolverProcess(keys, surroundings);
    await resolver.start();
    return resolver;
  }

  get directory(): string {
    return join(this.workspace.secretsRoot, NAMESPACE, SECRET);
  }

  get socket(): string {
    return this.workspace.socket;
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** What it logged so far. */
  get log(): string {
    return readFileSync(this.#log, 'utf8');
  }

  /** Wall clock of the spawn, in Unix milliseconds with fractions. */
  get spawnedAtMs(): number {
    return performance.timeOrigin + this.#spawnedAt;
  }

  /** Spawns it and waits until it serves. Nothing but the wait happens in this process meanwhile. */
  async start(): Promise<StartTimes> {
    const [program, ...args] = commandIn(this.#cgroup, NODE, ...serveCommand(this.workspace));
    const log = openSync(this.#log, 'a');
    const env = { ...BARE_ENVIRONMENT, ...IMAGE_ENVIRONMENT };
    this.#spawnedAt = performance.now();
    const child = spawn(program, args, { env, stdio: ['ignore', this.#fifo, log] });
    this.#child = ours(child);
    closeSync(log);
    let flaggedMs: number | undefined;
    there(this.socket, () => {
      if (flaggedMs === undefined && underPermissions(child.pid))
        flaggedMs = performance.now() - this.#spawnedAt;
    });
    const socketMs = performance.now() - this.#spawnedAt;
    await untilServing(this.socket);
    const servingMs = performance.now() - this.#spawnedAt;
    return { flaggedMs: flaggedMs ?? 0, socketMs, servingMs, cpuMs: cpuNs(this.pid) / 1e6 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child !== undefined) await killed(this.#child);
    await killed(this.#sink);
    closeSync(this.#fifo);
    this.workspace[Symbol.dispose]();
  }
}

/** Waits for a socket file, and asks for nothing else of this process meanwhile. */
export function there(socket: string, meanwhile: () => void = () => {}): void {
  const from = performance.now();
  // Not the event loop's timers: they know whole milliseconds.
  const clock = new Int32Array(new SharedArrayBuffer(4));
  while (!existsSync(socket)) {
    meanwhile();
    if (performance.now() - from > START_TIMEOUT_MS) throw new Error(`nobody opened ${socket}`);
    Atomics.wait(clock, 0, 0, POLL_MS);
  }
}

/** Whether the command line of a process, which may change as it starts itself again, names the permission model. */
function underPermissions(pid: number | undefined): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes('--permission');
}

/** Health.Watch over bare HTTP/2: it is told the moment it changes, so that nothing need be asked twice. */
function untilServing(socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
    const timer = setTimeout(() => done(new Error('the resolver is not SERVING')), START_TIMEOUT_MS);
    const done = (error?: Error) => {
      clearTimeout(timer);
      session.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    session.on('error', done);
    const watch = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Watch',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    watch.on('error', done);
    // Messages of a status are two bytes behind a frame of five; SERVING is 1.
    let received = Buffer.alloc(0);
    watch.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      for (; received.length >= 7; received = received.subarray(7)) {
        if (received[5] === 0x08 && received[6] === 1) return done();
      }
    });
    watch.on('end', () => done(new Error('the health watch ended')));
    watch.end(Buffer.alloc(5));
  });
}
