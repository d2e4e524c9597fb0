/** The other processes of the run: listed callers and hostile peers, each under its own UID. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ARTIFACTS } from '../../test/support/secrets.ts';
import type { Done, Order } from './peers.ts';
import type { Disturbance } from './plan.ts';
import type { Report } from './supervisor.ts';

interface Role {
  readonly name: string;
  readonly checkout: string;
  readonly socket: string;
  readonly uid: number | undefined;
}

function play(role: Role, script: string, args: readonly string[], env: Record<string, string>) {
  const { name, checkout, uid } = role;
  const child = spawn(
    join(checkout, 'node_modules/.bin/node'),
    [join(checkout, 'tools/soak', script), ...args],
    {
      env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    },
  );
  child.stderr?.pipe(createWriteStream(join(ARTIFACTS, `${name}.stderr`)));
  return child;
}

const MAX_LINE = 1_000;
/** Sockets of a process of ours beside its connections: its stderr and the channel to the harness. */
const OWN_SOCKETS = 2;

/** Connections to the resolver that one of our processes holds, according to the kernel. Needs root. */
export function connectionsOf(pid: number): number {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).filter((fd) => isSocket(`${folder}/${fd}`)).length - OWN_SOCKETS;
  } catch {
    return 0;
  }
}

function isSocket(path: string): boolean {
  try {
    return readlinkSync(path).startsWith('socket:');
  } catch {
    // It was just closed.
    return false;
  }
}

/** Starts a listed caller. `onReport` gets its observations. `onEnd` is called if it exits, which it never should. */
export function playCaller(
  role: Role,
  options: {
    readonly providers: readonly string[];
    readonly prefix: string;
    readonly onReport: (report: Report) => void;
    readonly onEnd: (how: string) => void;
  },
): ChildProcess {
  const child = play(role, 'supervisor.ts', [role.name, role.socket, options.providers.join()], {
    VALUE_PREFIX: options.prefix,
  });
  child.on('message', (report: Report) => options.onReport(report));
  child.once('exit', (code, signal) =>
    options.onEnd(`${role.name} ended with ${code ?? signal}; see ${ARTIFACTS}/${role.name}.stderr`),
  );
  return child;
}

/** Runs a program of test/ that attacks until its input ends, for so long; the last line that it printed. */
export async function attack(
  { checkout, uid }: Pick<Role, 'checkout' | 'uid'>,
  script: string,
  args: readonly string[],
  ms: number,
): Promise<string> {
  const child = spawn(join(checkout, 'node_modules/.bin/node'), [join(checkout, 'test', script), ...args], {
    env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent' },
    stdio: ['pipe', 'pipe', 'ignore'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const ended = once(child, 'exit');
  let printed = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(-MAX_LINE);
  });
  await sleep(ms);
  child.stdin?.end();
  await Promise.race([ended, sleep(2_000)]);
  if (child.kill('SIGKILL')) await ended;
  return printed.trim().split('\n').at(-1) ?? '';
}

/** A hostile peer. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #open = new Map<number, (done: Done) => void>();
  #next = 0;

  constructor(role: Role) {
    this.#child = play(role, 'peers.ts', [role.socket], {});
    this.#child.on('message', (done: Done) => {
      this.#open.get(done.id)?.(done);
      this.#open.delete(done.id);
    });
    this.#child.once('exit', () => {
      for (const [id, done] of this.#open) done({ id, connections: 0, bytes: 0, watches: 0 });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Watches that it holds open now. */
  async watches(): Promise<number> {
    return (await this.#order('count', 0)).watches;
  }

  act(action: Disturbance, seed: number): Promise<Done> {
    return this.#order(action, seed);
  }

  #order(action: Order['action'], seed: number): Promise<Done> {
    const id = ++this.#next;
    return new Promise((done) => {
      this.#open.set(id, done);
      this.#child.send({ id, action, seed } satisfies Order);
    });
  }

  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
