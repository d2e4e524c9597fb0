/** The image's `serve` in a {@link PodWorld}, under a UID and a PID namespace of its own, and the parties around it. As root. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll } from 'vitest';
import { MAIN, NODE } from './checkout.ts';
import { until } from './cli.ts';
import { type Network, PodWorld, type Shares } from './pod-world.ts';
import { IMAGE_ENVIRONMENT, Product } from './product.ts';
import { newSecret } from './secrets.ts';
import { Workspace, type WorkspaceConfig } from './workspace.ts';

const RESOLVER_UID = 10_771;
export const AGENT_UID = 1_000;
export const PORTS = { health: 8_086, metrics: 9_090 } as const;

/** A process that prints lines and ends when its input ends. */
export class Party {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  errors = '';
  readonly #ended: Promise<void>;

  constructor(words: readonly string[]) {
    const [program = '', ...rest] = words;
    this.child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stderr?.on('data', (text: Buffer) => {
      this.errors += text;
    });
    if (this.child.stdout !== null)
      createInterface({ input: this.child.stdout }).on('line', (line) => this.lines.push(line));
    this.#ended = new Promise((resolve) => this.child.once('close', () => resolve()));
  }

  /** The line with this index, once it exists. */
  async line(index: number): Promise<string> {
    const explain = () => `no line ${index} of ${this.child.spawnargs.join(' ')}:\n${this.errors}`;
    await until(() => this.lines.length > index || this.child.exitCode !== null, 60_000, explain);
    const line = this.lines[index];
    if (line === undefined) throw new Error(explain());
    return line;
  }

  /** Asks for one line more, and parses it. */
  async ask<T>(): Promise<T> {
    const index = this.lines.length;
    this.child.stdin?.write('\n');
    return JSON.parse(await this.line(index)) as T;
  }

  /** Ends its input, and parses the last line. */
  async end<T>(): Promise<T> {
    this.child.stdin?.end();
    await this.#ended;
    const last = this.lines.at(-1);
    if (last === undefined) throw new Error(`nothing printed:\n${this.errors}`);
    return JSON.parse(last) as T;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#ended;
  }
}

/** Built once for the tests of a file. */
let product: Product | undefined;
afterAll(() => product?.[Symbol.dispose]());

export class ResolverPod implements AsyncDisposable {
  readonly world: PodWorld;
  readonly workspace = new Workspace();
  readonly #parties: Party[] = [];
  serve!: Party;

  private constructor(world: PodWorld) {
    this.world = world;
  }

  static async open(
    shares: Shares = {},
    config: (workspace: Workspace) => WorkspaceConfig = () => ({}),
  ): Promise<ResolverPod> {
    const pod = new ResolverPod(await PodWorld.open(shares));
    try {
      const { workspace } = pod;
      workspace.writeConfig({
        health: { listen: `[::]:${PORTS.health}` },
        metrics: { listen: `[::]:${PORTS.metrics}` },
        callers: [{ name: 'supervisor', uid: 0, providers: ['*'] }],
        ...config(workspace),
      });
      workspace.writeBulkProvider('any', 'any');
      pod.rotate();
      product ??= new Product();
      pod.serve = pod.start('pod', 'resolver', [
        ...['unshare', '--pid', '--mount-proc', '--fork'],
        ...as(RESOLVER_UID),
        ...['env', ...Object.entries(IMAGE_ENVIRONMENT).map((entry) => entry.join('='))],
        ...[NODE, ...product.entry(workspace.socket), 'serve', '--relaxed', '--config', workspace.configFile],
      ]);
      const { serve } = pod;
      const up = () => serve.errors.includes('"msg":"listening"');
      await until(
        () => up() || serve.child.exitCode !== null,
        30_000,
        () => serve.errors,
      );
      if (!up()) throw new Error(`serve ended with ${serve.child.exitCode}:\n${serve.errors}`);
      return pod;
    } catch (error) {
      await pod[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Twenty keys of new content. */
  rotate(): void {
    this.workspace
      .secret('any')
      .write(Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`TOKEN_${at}`, newSecret()])));
  }

  start(network: Network, container: 'agent' | 'resolver' | undefined, words: readonly string[]): Party {
    const party = new Party(this.world.words(network, container, words));
    this.#parties.push(party);
    return party;
  }

  /** A program of test/observe/attackers, as the agent where it is in its container. */
  async attacker(
    network: Network,
    container: 'agent' | undefined,
    program: string,
    ...words: string[]
  ): Promise<Party> {
    const file = join(MAIN, '../../test/observe/attackers', program);
    const user = container === 'agent' ? as(AGENT_UID) : [];
    const party = this.start(network, container, [...user, NODE, file, ...words]);
    await party.line(0);
    return party;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // With the control groups all goes that is in them: a PID namespace outlives the program that made it.
    await this.world[Symbol.asyncDispose]();
    await Promise.all(this.#parties.map((party) => party.kill()));
    this.workspace[Symbol.dispose]();
  }
}

export function as(uid: number): string[] {
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--no-new-privs'];
}
