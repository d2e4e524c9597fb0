/** `serve --gateway-driver` in this process, without the boundary: real volumes, real sockets. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Config } from '../../src/config/config.ts';
import { keepFixed } from '../../src/consumers/index.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { ResolverServer } from '../../src/consumers/resolver-server.ts';
import { Pipeline } from '../../src/daemon/pipeline.ts';
import type { Limits } from '../../src/domain/limits.ts';
import type { Audit } from '../../src/observe/audit/audit.ts';
import type { Logger } from '../../src/observe/log.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { SnapshotStore } from '../../src/snapshot/snapshot.ts';
import { Views } from '../../src/snapshot/views.ts';
import { ServingState } from '../../src/socket/serving-state.ts';

export interface GatewayOptions {
  readonly audit: Audit;
  readonly log: Logger;
  readonly limits?: Partial<Limits>;
  /** Further options of the command line. */
  readonly options?: Readonly<Record<string, unknown>>;
}

export class Gateway implements AsyncDisposable {
  readonly store = new SnapshotStore();
  readonly state = new ServingState(this.store);
  readonly #file: string;
  readonly #options: GatewayOptions;
  #config: Config;
  #pipeline!: Pipeline;
  #server!: ResolverServer;

  private constructor(file: string, options: GatewayOptions) {
    this.#file = file;
    this.#options = options;
    this.#config = this.#load();
  }

  static async open(file: string, options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(file, options);
    const { store, state } = gateway;
    const { audit, log, limits } = options;
    const config = gateway.#config;
    const processKey = randomBytes(32);
    const views = new Views(config.sandbox, processKey);
    const meter = new Metrics(() => assert.fail('nobody asks for metrics'));
    const pipeline = new Pipeline(config, { store, views, audit, log, meter });
    gateway.#pipeline = pipeline;
    gateway.#server = await ResolverServer.open({
      config: () => gateway.#config,
      store,
      state,
      views,
      reads: () => pipeline.reads,
      statusFacts: () => ({
        sandbox: config.sandbox,
        boundary: undefined,
        volumes: pipeline.volumes,
        providers: config.providers,
        startedAtMs: 1,
        notServing: state.notServing(),
        watches: [],
        refusedPeers: [],
        audit: audit.state,
      }),
      processKey,
      audit,
      log,
      meter,
      ...(limits && { limits }),
    });
    await pipeline.start();
    return gateway;
  }

  reload(): void {
    this.#config = keepFixed(this.#config, this.#load()).config;
    this.#server.recheck();
    void this.#pipeline.reload(this.#config);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await this.#pipeline[Symbol.asyncDispose]();
  }

  #load(): Config {
    return loadConfig(this.#file, {}, {}, { gatewayDriver: true, ...this.#options.options });
  }
}
