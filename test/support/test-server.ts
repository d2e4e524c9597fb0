/** The real server on a real socket in this process, with snapshots from the test and an audit that the test can read. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Config, secretId } from '../../src/config/config.ts';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { ResolverServer } from '../../src/consumers/resolver-server.ts';
import type { Limits } from '../../src/domain/limits.ts';
import { SecretValue } from '../../src/domain/secret-value.ts';
import { Audit } from '../../src/observe/audit/audit.ts';
import { createLog, type Logger } from '../../src/observe/log.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { resolve } from '../../src/snapshot/resolve.ts';
import { SnapshotStore } from '../../src/snapshot/snapshot.ts';
import { Views } from '../../src/snapshot/views.ts';
import { ServingState } from '../../src/socket/serving-state.ts';
import type { VolumeRead } from '../../src/sources/index.ts';
import { NAMESPACE, type Workspace } from './workspace.ts';

const QUIET = createLog({ level: 'fatal' });

/** The fields of an audit record that tests use. */
export interface AuditRecord {
  readonly class_uid: number;
  readonly status_id: number;
  readonly metadata: { readonly correlation_uid?: string };
  readonly unmapped: Readonly<Record<string, unknown>> & { readonly outcome?: string };
}
export type Records = AuditRecord[];

export class TestServer implements AsyncDisposable {
  readonly workspace: Workspace;
  /** In force; a test of a reload replaces it. */
  config: Config;
  readonly store = new SnapshotStore();
  readonly state = new ServingState(this.store);
  readonly records: Records = [];
  server!: ResolverServer;
  #generation = 0;

  private constructor(workspace: Workspace) {
    this.workspace = workspace;
    this.config = loadConfig(workspace.configFile, {});
  }

  static async open(
    workspace: Workspace,
    limits: Partial<Limits> = {},
    log: Logger = QUIET,
  ): Promise<TestServer> {
    const test = new TestServer(workspace);
    const { config, store, state, records } = test;
    const processKey = randomBytes(32);
    test.server = await ResolverServer.open({
      config: () => test.config,
      store,
      state,
      audit: new Audit(
        {
          write: (record) => records.push(JSON.parse(record) as AuditRecord),
          [Symbol.asyncDispose]: async () => {},
        },
        config.sandbox,
      ),
      log,
      views: new Views(config.sandbox, processKey),
      reads: () => new Map(),
      meter: new Metrics(() => assert.fail('nobody asks for metrics')),
      processKey,
      statusFacts: () => ({
        sandbox: config.sandbox,
        boundary: undefined,
        volumes: [],
        providers: config.providers,
        startedAtMs: 1,
        notServing: state.notServing(),
        watches: test.server.watches,
        refusedPeers: test.server.refusedPeers,
        audit: { error: undefined, dropped: 0 },
      }),
      limits,
    });
    return test;
  }

  get socket(): string {
    return this.workspace.socket;
  }

  /** Publishes the snapshot that results from the configuration and these Secrets. */
  publish(
    secrets: Readonly<Record<string, Readonly<Record<string, string | Uint8Array>>>>,
    now = Date.now(),
  ): void {
    this.#generation += 1;
    const reads = new Map<string, VolumeRead>();
    for (const [name, keys] of Object.entries(secrets)) {
      reads.set(secretId({ namespace: NAMESPACE, name }), {
        kind: 'generation',
        generation: {
          id: `..test_${this.#generation}`,
          keys: new Map(
            Object.entries(keys).map(([key, text]) => [
              key,
              { kind: 'bytes', value: SecretValue.from(Buffer.from(text as string)) },
            ]),
          ),
        },
      });
    }
    this.store.publish({ ...resolve(this.config, reads, now), mountedAt: performance.now() });
  }

  /** Audit records with this outcome. */
  audited(outcome: string): Records {
    return this.records.filter((record) => record.unmapped.outcome === outcome);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.workspace[Symbol.dispose]();
  }
}
