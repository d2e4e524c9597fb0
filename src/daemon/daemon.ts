/**
 * The daemon: its parts, and the order in which they begin and end.
 *
 * States: created → starting → running → stopping → stopped. `create` protects the process and opens log and audit;
 * `start` proves the boundary, opens what answers, and then reads the first value; `destroy` may be called in any
 * state, any number of times.
 */
import { randomBytes } from 'node:crypto';
import { addAbortListener } from 'node:events';
import type { Writable } from 'node:stream';
import { type HardeningResult, startThreadPool } from '../boundary/harden.ts';
import type { Config } from '../config/config.ts';
import { ConfigFiles } from '../config/files.ts';
import type { ServeOptions } from '../consumers/consumer.ts';
import { refuseOptions } from '../consumers/index.ts';
import { ResolverServer } from '../consumers/resolver-server.ts';
import type { StatusFacts } from '../consumers/status-facts.ts';
import { VERSION } from '../domain/version.ts';
import { Audit } from '../observe/audit/audit.ts';
import { referenceText } from '../observe/audit/record.ts';
import { NO_SINK, openAuditSink } from '../observe/audit/sink.ts';
import { createLog, type ProcessLog } from '../observe/log.ts';
import { Metrics } from '../observe/metrics.ts';
import { healthRoutes, Responder } from '../observe/responder.ts';
import { SnapshotStore } from '../snapshot/snapshot.ts';
import { Views } from '../snapshot/views.ts';
import { type SocketRefusal, socketRefusal } from '../socket/refusal.ts';
import { type NotServing, ServingState } from '../socket/serving-state.ts';
import { ConfigWatch } from '../sources/config-watch.ts';
import { Boundary, protectProcess } from './boundary.ts';
import { IdleCollection } from './idle-collection.ts';
import { Pipeline } from './pipeline.ts';
import { reread } from './reload.ts';

export interface DaemonOptions {
  readonly configFile: string;
  readonly relaxed: boolean;
  /** What the command line says of consumers. */
  readonly consumers: ServeOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  /** Asks the daemon to end; its reason is the signal's name. */
  readonly signal: AbortSignal;
}

type State = 'created' | 'starting' | 'running' | 'stopping' | 'stopped';

/** Why the daemon ends; what its open streams are told. */
export type StopReason = Extract<SocketRefusal, { kind: 'draining' | 'boundary-broken' }>;

/** What `create` made, ready before anything answers. */
interface Base {
  readonly startedAtMs: number;
  readonly log: ProcessLog;
  readonly audit: Audit;
  readonly hardening: HardeningResult;
}

/** What `start` opens, each there from its line in `#open` on. */
interface Parts {
  pipeline?: Pipeline;
  server?: ResolverServer;
  readonly responders: Responder[];
  configWatch?: ConfigWatch;
}

export class Daemon implements AsyncDisposable {
  readonly #options: DaemonOptions;
  readonly #base: Base;
  readonly #controller = new AbortController();
  readonly #store = new SnapshotStore();
  readonly #state = new ServingState(this.#store);
  readonly #collection = new IdleCollection();
  readonly #boundary: Boundary;
  readonly #parts: Parts = { responders: [] };
  #config: Config;
  /** What the last attempt to load the configuration read. */
  #files: ConfigFiles;
  #phase: State = 'created';
  #started: Promise<void> | undefined;
  #destroyed: Promise<void> | undefined;

  private constructor(options: DaemonOptions, config: Config, files: ConfigFiles, base: Base) {
    this.#options = options;
    this.#config = config;
    this.#files = files;
    this.#base = base;
    this.#boundary = new Boundary({
      ...options,
      ...base,
      config: () => this.#config,
      boundSocket: () => this.#parts.server?.boundSocket,
      signal: this.#controller.signal,
    });
    this.#store.subscribe(() => this.#collection.worked());
    addAbortListener(options.signal, () => this.#drain());
  }

  static async create(options: DaemonOptions): Promise<Daemon> {
    const { relaxed, env } = options;
    const startedAtMs = Date.now();
    const files = new ConfigFiles();
    const { loadConfig } = await import('../consumers/load-config.ts');
    const config = loadConfig(options.configFile, env, { files }, options.consumers);
    refuseOptions(config, options.consumers);
    const hardening = protectProcess(env, config, relaxed);
    await startThreadPool();
    await using opened = new AsyncDisposableStack();
    const { level } = config.log;
    // Of a laptop only: a pod may have a terminal too, and needs all of its audit and JSON.
    const forPerson = relaxed && options.stderr.isTTY === true ? { colour: !env.NO_COLOR } : undefined;
    const log = opened.use(createLog({ level, relaxed, ...(forPerson && { forPerson }) }));
    const mixed = relaxed && options.stdout.isTTY === true && config.audit.path === undefined;
    if (mixed) log.info('audit records are not shown on a terminal: redirect stdout, or set audit.path');
    const sink = mixed ? NO_SINK : openAuditSink(config.audit.path, options.stdout, log);
    const audit = opened.use(new Audit(sink, config.sandbox));
    const daemon = new Daemon(options, config, files, { startedAtMs, log, audit, hardening });
    opened.move();
    return daemon;
  }

  /** Resolves when the daemon is to be destroyed: it was asked to end, or its boundary is broken. */
  get ended(): Promise<StopReason> {
    const { signal } = this.#controller;
    return new Promise((resolve) => addAbortListener(signal, () => resolve(signal.reason)));
  }

  /** Rejects where the boundary is not proven, or a part cannot be opened. */
  start(): Promise<void> {
    if (this.#phase !== 'created') throw new Error(`start() of a daemon that is ${this.#phase}`);
    this.#phase = 'starting';
    this.#started = this.#open();
    return this.#started;
  }

  /** Reads the configuration again; a wrong one is reported and changes nothing. Never rejects. */
  async reload(): Promise<void> {
    const { log, audit } = this.#base;
    const { server, pipeline } = this.#parts;
    const { configFile: file, env, consumers } = this.#options;
    const failed = (err: unknown) => {
      log.error({ err }, 'the reload failed');
      audit.configReloaded(false, 'the reload failed; the log says why');
    };
    try {
      const { loadConfig } = await import('../consumers/load-config.ts');
      if (this.#controller.signal.aborted) return;
      this.#collection.workedMuch();
      const { config: next, files } = reread(this.#config, { file, env, consumers, log, audit, loadConfig });
      this.#files = files;
      if (next === undefined) return;
      this.#config = next;
      server?.recheck();
      pipeline?.reload(next).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  destroy(): Promise<void> {
    this.#destroyed ??= this.#close();
    return this.#destroyed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }

  /** Each part needs only those above it, and the first value is read when all of them stand. */
  async #open(): Promise<void> {
    await this.#boundary.prove();
    if (this.#controller.signal.aborted) return;
    const { log, audit } = this.#base;
    const parts = this.#parts;
    const config = this.#config;
    const state = this.#state;
    const store = this.#store;
    const processKey = randomBytes(32);
    const views = new Views(config.sandbox, processKey);
    const meter = new Metrics(() => ({ ...this.#statusFacts(), refusals: store.current()?.refusals ?? [] }));
    const pipeline = new Pipeline(config, { store, views, audit, log, meter });
    parts.pipeline = pipeline;
    parts.server = await ResolverServer.open({
      config: () => this.#config,
      store,
      state,
      audit,
      log,
      views,
      reads: () => pipeline.reads,
      processKey,
      statusFacts: () => this.#statusFacts(),
      meter,
      onNewUid: () => this.#boundary.checkSoon(),
      onCall: () => this.#collection.worked(),
    });
    if (config.health !== undefined) {
      const routes = healthRoutes(() => state.isServing());
      parts.responders.push(await Responder.open('health.listen', config.health.listen, routes));
    }
    if (config.metrics !== undefined) {
      const routes = { '/metrics': () => ({ status: 200, text: meter.text(Date.now()) }) as const };
      parts.responders.push(await Responder.open('metrics.listen', config.metrics.listen, routes));
    }
    this.#listen();
    this.#boundary.keepProving((failed) => this.#break(failed.map(({ id }) => id)));
    await pipeline.start();
    parts.configWatch = new ConfigWatch({ files: () => this.#files, reload: () => this.reload(), log });
    audit.lifecycle('started', `version ${VERSION}`);
    this.#phase = 'running';
    log.info({ socket: config.socket.path, serving: state.isServing(), version: VERSION }, 'listening');
  }

  /** Everything that lasts until the daemon ends and no longer. */
  #listen(): void {
    const reload = () => this.reload();
    process.on('SIGHUP', reload);
    // The timer keeps the process alive: the listener alone does not, once the socket file is lost.
    const keepAlive = setInterval(() => {}, 60_000);
    addAbortListener(this.#controller.signal, () => {
      process.off('SIGHUP', reload);
      clearInterval(keepAlive);
    });
    this.#reportHealth();
  }

  /** At once, whatever else is under way: from here on nothing can be served, nor loaded to be. */
  #break(findings: readonly string[]): void {
    this.#state.setBoundaryBroken(findings);
    this.#store.drop();
    this.#controller.abort({ kind: 'boundary-broken', findings } satisfies StopReason);
  }

  /** No effect where the daemon is ending already. */
  #drain(): void {
    this.#controller.abort({ kind: 'draining' } satisfies StopReason);
  }

  async #close(): Promise<void> {
    const { log, audit } = this.#base;
    const parts = this.#parts;
    this.#drain();
    const reason: StopReason = this.#controller.signal.reason;
    await this.#started?.catch(() => {});
    const ran = this.#phase === 'running';
    this.#phase = 'stopping';
    if (ran) log.info({ reason: reason.kind }, 'stopping');
    // First no value is left to serve, then every caller hears why.
    const unwatched = parts.configWatch?.[Symbol.asyncDispose]();
    const stopped = parts.pipeline?.[Symbol.asyncDispose]();
    if (reason.kind === 'draining') this.#state.setDraining();
    await parts.server?.drain(socketRefusal(reason));
    this.#store.drop();
    await Promise.all([stopped, unwatched]);
    await Promise.all(parts.responders.map((responder) => responder[Symbol.asyncDispose]()));
    this.#collection[Symbol.dispose]();
    if (ran) {
      const broken = reason.kind === 'boundary-broken';
      const asked = String(this.#options.signal.reason);
      audit.lifecycle('stopped', broken ? 'the isolation boundary is broken' : asked);
    }
    await audit[Symbol.asyncDispose]();
    // Last: it holds the line that explains the exit.
    await log[Symbol.asyncDispose]();
    this.#phase = 'stopped';
  }

  #statusFacts(): StatusFacts {
    const { sandbox, providers } = this.#config;
    return {
      sandbox,
      boundary: this.#boundary.facts,
      volumes: this.#parts.pipeline?.volumes ?? [],
      providers,
      startedAtMs: this.#base.startedAtMs,
      notServing: this.#state.notServing(),
      watches: this.#parts.server?.watches ?? [],
      refusedPeers: this.#parts.server?.refusedPeers ?? [],
      audit: this.#base.audit.state,
    };
  }

  /** Writes each change of health down, and each change of its causes. */
  #reportHealth(): void {
    const { log } = this.#base;
    let last = JSON.stringify(this.#state.notServing());
    this.#state.onChange(() => {
      const because = this.#state.notServing();
      const now = JSON.stringify(because);
      if (now === last) return;
      last = now;
      if (because.length === 0) log.info('health is SERVING');
      else log.warn({ because: because.map(loggedCause) }, 'health is NOT_SERVING');
    });
  }
}

function loggedCause({ reason, remedy, credential }: NotServing): object {
  return {
    reason,
    ...(credential && { ...credential, reference: referenceText(credential.reference) }),
    todo: remedy,
  };
}
