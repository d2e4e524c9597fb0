/** `serve`: where the rooms are joined. Lifecycle: harden → check → watch and listen → serve → drain. */
import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { startThreadPool } from '../boundary/harden.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { StatusFacts } from '../consumers/native/status.ts';
import { Views } from '../consumers/native/views.ts';
import { healthServices, ResolverServer } from '../consumers/resolver-server.ts';
import { Boundary, protectProcess } from '../daemon/boundary.ts';
import { openGateway } from '../daemon/gateway.ts';
import { IdleCollection } from '../daemon/idle-collection.ts';
import { Pipeline } from '../daemon/pipeline.ts';
import { CommandError, ConfigError, ExitCode, formatIssue } from '../domain/errors.ts';
import { VERSION } from '../domain/version.ts';
import { Audit } from '../observe/audit/audit.ts';
import { openAuditSink } from '../observe/audit/sink.ts';
import { HealthListener } from '../observe/health-listener.ts';
import { createLog, type Logger } from '../observe/log.ts';
import { Metrics, NO_METER } from '../observe/metrics.ts';
import { MetricsListener } from '../observe/metrics-listener.ts';
import { SnapshotStore } from '../snapshot/snapshot.ts';
import type { CallRefusal } from '../socket/refusal.ts';
import { ServingState } from '../socket/serving-state.ts';
import type { CommandContext } from './context.ts';

export function createCommand(context: CommandContext): Command {
  return new Command('serve')
    .description('watch the mounted Secrets and serve them on the Unix socket, until SIGTERM')
    .option('--config <file>', 'the configuration file, a YAML file; SECRET_RESOLVER_CONFIG unless given')
    .option(
      '--relaxed',
      'serve even where the isolation boundary is not proven: for laptops, refused in a cluster',
    )
    .option(
      '--gateway-driver',
      'also answer an OpenShell gateway as its credential driver, as gatewayDriver in the configuration says',
    )
    .addHelpText(
      'after',
      `
Before the first value is read it proves the isolation boundary, and again every 15 s and for each new UID.
Where an enforced check fails it serves nothing and exits with 1; \`secret-resolver check\` shows the same table.

Signals:
  SIGTERM, SIGINT  end: streams end with UNAVAILABLE, the socket is removed, exit 0 within 5 s;
                   between two looks at a boundary that is not proven yet, exit 1 at once
  SIGHUP           read the configuration again; a wrong one is reported and changes nothing

Streams:
  stdout           audit, one OCSF 1.8.0 JSON object a line (or the file that audit.path names)
  stderr           log, one JSON object a line

Environment, each from the downward API and each overridden by \`sandbox\` in the file:
  SECRET_RESOLVER_SANDBOX_ID, SECRET_RESOLVER_SANDBOX_NAME, SECRET_RESOLVER_SANDBOX_NAMESPACE

\`secret-resolver config validate FILE\` checks a file without serving; \`config schema\` prints its JSON Schema.`,
    )
    .action(async (options: ServeOptions) => {
      await serve(context, configPath(options.config, context), options);
    });
}

interface ServeOptions {
  readonly config?: string;
  readonly relaxed?: true;
  readonly gatewayDriver?: true;
}

/** The file that the command line or the environment names. */
export function configPath(option: string | undefined, context: CommandContext): string {
  const path = option ?? context.env.SECRET_RESOLVER_CONFIG;
  if (path === undefined || path === '') {
    throw new CommandError(
      'no configuration file: write --config FILE, or set SECRET_RESOLVER_CONFIG',
      ExitCode.usage,
    );
  }
  return path;
}

async function serve(context: CommandContext, file: string, options: ServeOptions): Promise<void> {
  const relaxed = options.relaxed === true;
  const startedAtMs = Date.now();
  let config = loadConfig(file, context.env);
  const hardening = protectProcess(context, config, relaxed);
  await startThreadPool();
  await using log = createLog({ level: config.log.level, relaxed });
  await using audit = new Audit(openAuditSink(config.audit.path, context.stdout, log), config.sandbox);
  const boundary = await Boundary.prove(config, hardening, { relaxed, audit, log }, context);

  const store = new SnapshotStore();
  const state = new ServingState(store);
  const processKey = randomBytes(32);
  const views = new Views(config.sandbox, processKey);
  using collection = new IdleCollection();
  store.subscribe(() => collection.worked());
  const metrics =
    config.metrics === undefined
      ? undefined
      : await Metrics.create(() => ({
          ...statusFacts(),
          watchers: server.service.watchers.length,
          refusals: store.current()?.refusals ?? [],
        }));
  const meter = metrics ?? NO_METER;
  await using pipeline = new Pipeline(config, { store, views, audit, log, meter });
  const statusFacts = (): StatusFacts => ({
    sandbox: config.sandbox,
    boundary: boundary.facts,
    volumes: pipeline.volumes,
    providers: config.providers,
    startedAtMs,
    serving: state.isServing(),
  });
  await using server = await ResolverServer.open({
    config: () => config,
    store,
    state,
    audit,
    log,
    views,
    processKey,
    statusFacts,
    meter,
    onNewUid: () => boundary.checkSoon(),
    onCall: () => collection.worked(),
  });
  await using health =
    config.health === undefined
      ? undefined
      : await HealthListener.open(config.health.listen, state, healthServices(config));
  await using _metricsListener =
    config.metrics === undefined || metrics === undefined
      ? undefined
      : await MetricsListener.open(config.metrics.listen, metrics);

  const gatewayOptions = { config, state, audit, log, meter, onNewUid: () => boundary.checkSoon() };
  await using gateway = await openGateway(options.gatewayDriver === true, gatewayOptions);

  const stopReloading = onHangup(() => {
    const next = reread(file, context, config, log, audit);
    if (next === undefined) return;
    config = next;
    server.connections.recheck();
    gateway?.reload(next);
    pipeline.reload(next).catch((error: unknown) => log.error({ err: error }, 'the reload failed'));
  });
  const stopReporting = reportHealth(state, log);
  const ended = new AbortController();
  const broken = new Promise<CallRefusal>((resolve) => {
    boundary.keepProving(
      () => config,
      () => server.boundSocket,
      ended.signal,
      (failed) => {
        const findings = failed.map(({ id }) => id);
        // At once, whatever else is under way: from here on nothing can be served, nor loaded to be.
        state.setBoundaryBroken(findings);
        store.drop();
        resolve({ kind: 'boundary-broken', findings });
      },
    );
  });

  await pipeline.start();
  audit.lifecycle('started', `version ${VERSION}`);
  log.info({ socket: config.socket.path, serving: state.isServing(), version: VERSION }, 'listening');

  // The timer keeps the process alive: the listener alone does not, once the socket file is lost.
  const keepAlive = setInterval(() => {}, 60_000);
  const reason = await Promise.race([broken, aborted(context.signal)]);
  clearInterval(keepAlive);
  log.info({ reason: reason.kind }, 'stopping');
  ended.abort();
  stopReloading();
  // First no value is left to serve, then everybody is told.
  const stopped = pipeline[Symbol.asyncDispose]();
  if (reason.kind !== 'boundary-broken') state.setDraining();
  await Promise.all([server.drain(reason), gateway?.[Symbol.asyncDispose]()]);
  store.drop();
  await stopped;
  stopReporting();
  await health?.[Symbol.asyncDispose]();
  audit.lifecycle(
    'stopped',
    reason.kind === 'boundary-broken' ? 'the isolation boundary is broken' : String(context.signal.reason),
  );
  if (reason.kind === 'boundary-broken') context.exit(ExitCode.refused);
}

/** Fields that are bound to what the process opened or proved at its start. */
const FIXED_FIELDS = [
  'sandbox',
  'socket',
  'health',
  'metrics',
  'audit',
  'log',
  'agent',
  'boundary',
] as const satisfies readonly (keyof Config)[];

/** Mistakes of a reload that the log names one by one. */
const MAX_LOGGED_ISSUES = 20;

/**
 * Reads the configuration again. All or nothing: a wrong one leaves the one in force untouched. What the process
 * opened or proved at its start stays as it was until the next one; a caller must not become the agent by that.
 */
function reread(
  file: string,
  context: CommandContext,
  current: Config,
  log: Logger,
  audit: Audit,
): Config | undefined {
  try {
    const next = loadConfig(file, context.env);
    refuseAgentAsCaller(current, next);
    const fixed = FIXED_FIELDS.filter(
      (field) => JSON.stringify(current[field]) !== JSON.stringify(next[field]),
    );
    if (fixed.length > 0) {
      log.warn({ fields: fixed }, 'these fields take effect at the next start only');
    }
    log.info('configuration read again');
    audit.configReloaded(true, file);
    return {
      ...next,
      ...Object.fromEntries(FIXED_FIELDS.map((field) => [field, current[field]])),
      openshell: { ...next.openshell, package: current.openshell.package },
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { issues } = error;
    log.error(
      { issues: issues.slice(0, MAX_LOGGED_ISSUES), mistakes: issues.length },
      'the new configuration is wrong; the one before stays in force',
    );
    const [first] = issues;
    audit.configReloaded(
      false,
      `${issues.length} ${issues.length === 1 ? 'mistake' : 'mistakes, the first'}: ${first === undefined ? '' : formatIssue(first)}`,
    );
    return undefined;
  }
}

/** The loader compares callers with the agent of the same file; the agent in force is the one of the start. */
function refuseAgentAsCaller(current: Config, next: Config): void {
  const caller = next.callers.find(({ uid }) => uid === current.agent.uid);
  if (caller === undefined) return;
  throw new ConfigError([
    {
      file: next.file,
      line: 0,
      column: 0,
      field: 'agent.uid',
      message: `is ${current.agent.uid} until the resolver is started again, and that is the UID of a caller now`,
      hint: 'start the resolver again to change the UID of the agent',
    },
  ]);
}

function onHangup(reload: () => void): () => void {
  process.on('SIGHUP', reload);
  return () => process.off('SIGHUP', reload);
}

/** Writes each change of health down, once. */
function reportHealth(state: ServingState, log: Logger): () => void {
  let last = state.isServing();
  return state.onChange(() => {
    const now = state.isServing();
    if (now === last) return;
    last = now;
    if (now) log.info('health is SERVING');
    else log.warn('health is NOT_SERVING');
  });
}

function aborted(signal: AbortSignal): Promise<CallRefusal> {
  if (signal.aborted) return Promise.resolve({ kind: 'draining' });
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve({ kind: 'draining' }), { once: true });
  });
}
