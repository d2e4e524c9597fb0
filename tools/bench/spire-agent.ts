/** SPIRE's agent with a server of its own and one registered workload: us. Nothing of it is in this repository. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientReadableStream, credentials, Metadata } from '@grpc/grpc-js';
import { freePort } from '../../test/support/free-port.ts';
import { BARE_ENVIRONMENT, killed, ours } from './child.ts';
import type { Peers } from './figure.ts';

const TRUST_DOMAIN = 'bench.test';
const WORKLOAD = `spiffe://${TRUST_DOMAIN}/workload`;
const METHOD = '/SpiffeWorkloadAPI/FetchX509SVID';
const PATIENCE_MS = 30_000;
const PLUGINS = {
  KeyManager: { memory: { plugin_data: {} } },
  NodeAttestor: { join_token: { plugin_data: {} } },
};
const identity = (bytes: Buffer): Buffer => bytes;

export class SpireAgent implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'msr-spire-'));
  readonly #children: ChildProcess[] = [];
  #client: Client | undefined;
  readonly #metadata = new Metadata();

  private constructor() {
    chmodSync(this.#folder, 0o755);
    this.#metadata.set('workload.spiffe.io', 'true');
  }

  /** Waits until the workload is attested and is given its X.509 SVID. */
  static async serving({ agent, server }: NonNullable<Peers['spire']>): Promise<SpireAgent> {
    const spire = new SpireAgent();
    try {
      await spire.#start(agent, server);
    } catch (error) {
      await spire[Symbol.asyncDispose]();
      throw error;
    }
    return spire;
  }

  get pid(): number {
    return this.#children.at(-1)?.pid ?? -1;
  }

  async #start(agent: string, server: string): Promise<void> {
    const port = await freePort();
    const sockets = { server: join(this.#folder, 'server.sock'), agent: join(this.#folder, 'agent.sock') };
    const database = { database_type: 'sqlite3', connection_string: join(this.#folder, 'entries.sqlite3') };
    this.#run(server, 'server', {
      server: {
        ...{ bind_address: '127.0.0.1', bind_port: String(port), socket_path: sockets.server },
        ...this.#common('server'),
      },
      plugins: { ...PLUGINS, DataStore: { sql: { plugin_data: database } } },
    });
    const ask = (...args: string[]): string =>
      execFileSync(server, [...args, '-socketPath', sockets.server], { encoding: 'utf8', stdio: 'pipe' });
    const token = /Token: (\S+)/.exec(await retried(() => ask('token', 'generate')))?.[1] ?? '';
    const parent = `spiffe://${TRUST_DOMAIN}/spire/agent/join_token/${token}`;
    const selector = `unix:uid:${process.getuid?.()}`;
    ask('entry', 'create', '-parentID', parent, '-spiffeID', WORKLOAD, '-selector', selector);
    this.#run(agent, 'agent', {
      agent: {
        ...{ server_address: '127.0.0.1', server_port: port, socket_path: sockets.agent },
        ...{ join_token: token, insecure_bootstrap: true },
        ...this.#common('agent'),
      },
      plugins: { ...PLUGINS, WorkloadAttestor: { unix: { plugin_data: {} } } },
    });
    this.#client = new Client(`unix:${sockets.agent}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    await retried(() => this.fetch());
  }

  #common(name: string): object {
    return { trust_domain: TRUST_DOMAIN, log_level: 'WARN', data_dir: join(this.#folder, name) };
  }

  /** Its configuration language takes JSON. */
  #run(program: string, name: string, configuration: object): void {
    const file = join(this.#folder, `${name}.conf`);
    writeFileSync(file, JSON.stringify(configuration));
    const options = { cwd: this.#folder, env: BARE_ENVIRONMENT, stdio: 'ignore' } as const;
    this.#children.push(ours(spawn(program, ['run', '-config', file], options)));
  }

  /** Opens the stream, takes the first answer, and closes it: what a workload does that asks once. */
  fetch(): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream: ClientReadableStream<Buffer> | undefined = this.#client?.makeServerStreamRequest(
        ...([METHOD, identity, identity, Buffer.alloc(0), this.#metadata] as const),
        { deadline: Date.now() + PATIENCE_MS },
      );
      stream?.on('error', reject).once('data', (response: Buffer) => {
        if (response.includes(WORKLOAD)) resolve();
        else reject(new Error('FetchX509SVID returned no SVID of ours'));
        stream.cancel();
      });
    });
  }

  /** Microseconds that each of `count` took. */
  async time(count: number): Promise<number[]> {
    const times: number[] = [];
    while (times.length < count) {
      const from = process.hrtime.bigint();
      await this.fetch();
      times.push(Number(process.hrtime.bigint() - from) / 1000);
    }
    return times;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.close();
    for (const child of this.#children.toReversed()) await killed(child);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What works at the first try that does, within the patience. */
async function retried<T>(attempt: () => T | Promise<T>): Promise<T> {
  for (const from = performance.now(); ; await sleep(100)) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() - from > PATIENCE_MS) throw error;
    }
  }
}
