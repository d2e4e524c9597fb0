/**
 * Twelve faults, produced for real. For each: which line of the log, which audit record, metric, alert and part of `status`
 * names the cause. docs/faults.md has the same for people. Alerts fire in Prometheus' own rule engine.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, PlaceholderResolver, type ResolverClient } from '../../src/client/index.ts';
import { WatchProviderEnvironmentRequestSchema } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { METRICS } from '../../src/observe/metrics.ts';
import { type CliProcess, cli, startServe, until } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import {
  ALERTS,
  expectAlerts,
  MISSING_PROMTOOL,
  metricFaults,
  parseScrape,
  type Scenario,
  type Scrape,
} from '../support/promtool.ts';
import { RawClient } from '../support/raw-calls.ts';
import { describeAsRoot, describeIf } from '../support/root.ts';
import { newSecret } from '../support/secrets.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

/** A UID that no rule lists. */
const STRANGER = 54_321;

type Lines = readonly Record<string, unknown>[];

const workspace = new Workspace();
const full = new Workspace();
let serve: CliProcess;
let port: number;
let client: ResolverClient;
/** What was seen before the faults, and with all but the last of them. */
let healthy: Scrape;
let faulty: Scrape;
/** The last page of metrics. */
let page = '';
/** What `status` and `status -o json` said. */
let text: string;
let json: Record<string, unknown>;
/** Resolvers whose fault is there from the start. */
let others: ReturnType<typeof startOthers>;
const opened = new AsyncDisposableStack();

const source = (name: string) => ({ type: 'kubernetesSecret', namespace: NAMESPACE, name, key: 'token' });
const provider = (name: string, more: object = {}, endpoints: object = { endpoints: ENDPOINTS }) => ({
  name,
  type: 'custom',
  ...endpoints,
  credentials: { [name.toUpperCase()]: { source: source(name), ...more } },
});
const audit = (): Lines => serve.lines('stdout');
const unmapped = (outcome: string, name: string) =>
  audit()
    .map((record) => record.unmapped as Record<string, unknown>)
    .filter((facts) => facts.outcome === outcome && facts.provider === name);
const logged = (message: string): Lines =>
  serve.lines('stderr').filter(({ msg }) => String(msg).startsWith(message));
const scrape = async (from = port): Promise<Scrape> => {
  page = await (await fetch(`http://127.0.0.1:${from}/metrics`)).text();
  return parseScrape(page);
};

beforeAll(async () => {
  port = await freePort();
  workspace.writeConfig({ metrics: { listen: `127.0.0.1:${port}` } });
  workspace.writeBulkProvider('bulk', 'bulk');
  // A file in an allKeys Secret, which has no name for an environment: refused for good, in a healthy system too.
  workspace.secret('bulk').write({ BULK: newSecret(), 'ca.crt': newSecret() });
  workspace.writeProvider('needed.yaml', provider('needed', { required: true }));
  workspace.writeProvider('dated.yaml', provider('dated', { expiresAt: { key: 'ends' } }));
  workspace.secret('needed').write({ token: newSecret() });
  workspace.secret('dated').write({ token: newSecret(), ends: inMs(3_600_000) });
  serve = opened.use(await startServe(workspace.configFile));
  others = startOthers();
  // Awaited where it is needed.
  others.catch(() => {});
  client = connect({ socket: workspace.socket });
  opened.use(client);
  const stop = new AbortController();
  opened.defer(() => stop.abort());
  let rejecting = false;
  let seen = 0;
  void (async () => {
    for await (const environment of client.watchProviderEnvironment({ signal: stop.signal })) {
      seen += 1;
      if (rejecting) environment.reject();
    }
  })();
  await until(
    async () => (await scrape()).get('secret_resolver_acknowledge_seconds_count{outcome="applied"}') === 1,
  );
  healthy = await scrape();

  rejecting = true;
  const lagging = new RawClient(workspace.socket);
  opened.use(lagging);
  const subscribe = create(WatchProviderEnvironmentRequestSchema, {
    message: { case: 'subscribe', value: { providers: [] } },
  });
  lagging.stream('WatchProviderEnvironment').send(toBinary(WatchProviderEnvironmentRequestSchema, subscribe));
  workspace.secret('needed').write({ other: newSecret() });
  workspace.secret('dated').write({ token: newSecret(), ends: inMs(-1_000) });
  workspace.writeProvider('unmounted.yaml', provider('unmounted'));
  workspace.secret('nowhere').write({ token: newSecret() });
  workspace.writeProvider('nowhere.yaml', provider('nowhere', {}, {}));
  serve.kill('SIGHUP');
  await until(() => logged('a supervisor has not acknowledged').length > 0, 15_000);
  await until(() => unmapped('refused', 'nowhere').length > 0 && seen > 1);
  if (process.getuid?.() === 0)
    expect((await cli(['get', '--socket', workspace.socket], { uid: STRANGER, gid: STRANGER })).code).toBe(3);
  // The page is rendered once a second at most.
  await new Promise((wake) => setTimeout(wake, 1_000));
  faulty = await scrape();
  const [shown, data] = await Promise.all([
    cli(['status', '--socket', workspace.socket]),
    cli(['status', '--socket', workspace.socket, '-o', 'json']),
  ]);
  text = shown.stdout;
  json = JSON.parse(data.stdout);
}, 60_000);

afterAll(async () => {
  await opened.disposeAsync();
  workspace[Symbol.dispose]();
  full[Symbol.dispose]();
});

async function startOthers() {
  const failingPort = await freePort();
  full.writeConfig({ metrics: { listen: `127.0.0.1:${failingPort}` }, audit: { path: '/dev/full' } });
  const failing = opened.use(await startServe(full.configFile));
  const broken = await cli(['serve', '--config', workspace.configFile]);
  return { failing, failingPort, broken };
}

function inMs(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

const NEEDED = { provider: 'needed', key: 'NEEDED', reference: `${NAMESPACE}/needed/token` };
const refused = (reason: string, required = false) =>
  `secret_resolver_refused_credentials{reason="${reason}",required="${required}"}`;

/** A credential that is refused: what its log, audit and metric say. */
function expectRefused(name: string, reason: string, outcome: 'refused' | 'revoked', required = false): void {
  const facts = {
    provider: name,
    key: name.toUpperCase(),
    reference: `${NAMESPACE}/${name}/token`,
    required,
    reason,
  };
  expect(unmapped(outcome, name)).toMatchObject([
    { ...facts, callers: ['supervisor'], sandbox: { namespace: NAMESPACE } },
  ]);
  expect(logged(`credential ${outcome}`)).toContainEqual(
    expect.objectContaining({ ...facts, level: 'warn', todo: expect.stringMatching(/.{20}/) }),
  );
  expect(faulty.get(refused(reason, required))).toBe(1);
  expect(healthy.has(refused(reason, required))).toBe(false);
}

/** Refused, and not the cause of not serving. The fifth of them is a key of an allKeys Secret, the required one is counted, too. */
function expectInStatus(name: string, reason: string): void {
  expect(text).toMatch(/^5 credentials are refused: see "secret-resolver list"$/m);
  expect(json.refusedCredentials).toContainEqual({
    provider: name,
    key: name.toUpperCase(),
    reason,
    required: false,
    reference: `${NAMESPACE}/${name}/token`,
  });
}

describe('the cause is named where', () => {
  it('a required key was removed', () => {
    expectRefused('needed', 'key-missing', 'revoked', true);
    expect(logged('health is NOT_SERVING')).toMatchObject([
      {
        level: 'warn',
        because: [{ ...NEEDED, reason: 'key-missing', todo: expect.stringContaining('ESO') }],
      },
    ]);
    const { provider: name, key, reference } = NEEDED;
    expect(
      faulty.get(
        `secret_resolver_not_serving{reason="key-missing",provider="${name}",key="${key}",reference="${reference}"}`,
      ),
    ).toBe(1);
    expect(text.split('\n')[0]).toBe(
      `not serving: needed:NEEDED from ${NAMESPACE}/needed/token: key-missing -> check the key in the Secret, and that ESO has synced it`,
    );
    expect(json).toMatchObject({ serving: false, notServingBecause: [{ ...NEEDED, reason: 'key-missing' }] });
  });

  it('a credential has expired', async () => {
    expectRefused('dated', 'expired', 'revoked');
    expect((await cli(['list', '--socket', workspace.socket])).stdout).toMatch(/DATED +expired/);
    expectInStatus('dated', 'expired');
  });

  it('a credential has no endpoint, or another one than the request', async () => {
    expectRefused('nowhere', 'no-endpoints', 'refused');
    expectInStatus('nowhere', 'no-endpoints');
    // The resolver sees no request. The supervisor refuses this one, and its log names the credential.
    const environment = await client.getProviderEnvironment();
    const placeholders = new PlaceholderResolver();
    placeholders.update(environment);
    const handle = environment.credentials.get('BULK')?.handle;
    const request = {
      host: 'elsewhere.example.com',
      port: 443,
      tls: true,
      method: 'GET',
      target: '/',
      headers: [['Authorization', `Bearer openshell:resolve:env:s${handle}_BULK`]] as const,
      body: undefined,
      rewriteBody: false,
    };
    expect(placeholders.rewriteRequest(request, Date.now())).toMatchObject({
      kind: 'refused',
      reason: 'credential_endpoint_mismatch',
      key: 'BULK',
    });
  });

  it('a volume is not mounted', () => {
    expectRefused('unmounted', 'secret-missing', 'refused');
    expectInStatus('unmounted', 'secret-missing');
    expect(text).toMatch(new RegExp(`^not mounted: ${NAMESPACE}/unmounted$`, 'm'));
    expect(json.volumes).toContainEqual(
      expect.objectContaining({ secret: `${NAMESPACE}/unmounted`, state: 'secret-missing' }),
    );
  });

  it('a supervisor lags', () => {
    expect(logged('a supervisor has not acknowledged')[0]).toMatchObject({
      level: 'warn',
      caller: 'supervisor',
      pid: process.pid,
      behindMs: expect.any(Number),
    });
    expect(faulty.get('secret_resolver_unacknowledged_seconds')).toBeGreaterThan(5);
    expect(healthy.get('secret_resolver_unacknowledged_seconds')).toBe(0);
    expect(text).toMatch(new RegExp(`^ +${process.pid} .* behind for (?:[5-9]|[1-9]\\d) s`, 'm'));
    const watchers = json.watchers as Record<string, unknown>[];
    const behind = watchers.find(({ unacknowledgedMs }) => Number(unacknowledgedMs) > 5_000);
    expect(behind).toMatchObject({ acknowledged: 'none', consumer: 'native', rejections: 0 });
    // What was sent has a record; that of its acknowledgement, which would have the same id, is missing.
    const served = new Set(correlations('served'));
    expect(correlations('acknowledged').every((id) => served.has(id))).toBe(true);
    expect(served.size).toBeGreaterThan(new Set(correlations('acknowledged')).size);
  });

  it('a supervisor rejects', () => {
    expect(logged('a supervisor rejected a revision')[0]).toMatchObject({
      level: 'warn',
      caller: 'supervisor',
    });
    const rejected = 'secret_resolver_acknowledge_seconds_count{outcome="rejected"}';
    expect(faulty.get(rejected)).toBeGreaterThan(healthy.get(rejected) ?? Number.NaN);
    const record = audit().find(({ status_detail }) => status_detail === 'acknowledged as rejected');
    expect(record).toMatchObject({
      status_id: 2,
      unmapped: {
        caller: { name: 'supervisor' },
        credentials: expect.arrayContaining([expect.objectContaining({ provider: 'bulk', key: 'BULK' })]),
      },
    });
    expect(correlations('served')).toContain(
      (record as { metadata: { correlation_uid: string } }).metadata.correlation_uid,
    );
    expect(text).toMatch(new RegExp(`^ +${process.pid} .* rejected`, 'm'));
  });

  it('the audit file is full', async () => {
    const { failing, failingPort } = await others;
    await until(() => failing.stderr.includes('the audit stream cannot be written'));
    expect(failing.lines('stderr')).toContainEqual(
      expect.objectContaining({
        level: 'error',
        code: 'ENOSPC',
        msg: 'the audit stream cannot be written; trying again',
      }),
    );
    const after = await scrape(failingPort);
    expect(after.get('secret_resolver_audit_failing')).toBe(1);
    expect((await cli(['status', '--socket', full.socket])).stdout).toContain(
      'audit: ENOSPC, 0 records dropped\n',
    );
    scenarios.push({
      name: 'audit file full',
      before: healthy,
      after: new Map([...healthy, ['secret_resolver_audit_failing', 1]]),
      alerts: ['SecretResolverAuditFailing'],
    });
  });

  it('the boundary is broken', async () => {
    const { code, stdout, stderr } = (await others).broken;
    expect(code).toBe(1);
    expect(stderr).toContain('the isolation boundary is not proven; nothing is served');
    const id = /^error: .*\[([\w-]+)\]$/m.exec(stderr)?.[1];
    expect(stdout).toContain(`"finding":"${id}"`);
    // With --relaxed it serves, and status and metric say so.
    expect(logged('boundary check failed; serving anyway because of --relaxed')[0]).toMatchObject({
      failed: expect.arrayContaining([id]),
    });
    expect(faulty.get('secret_resolver_boundary_proven')).toBe(0);
    expect(text).toMatch(/^boundary: not proven; serving anyway because of --relaxed/m);
    expect(text).toMatch(new RegExp(`^  enforce ${id}: .* -> `, 'm'));
  });
});

describeAsRoot('as root the cause is named where', () => {
  it('a supervisor has the wrong UID', () => {
    expect(logged('peers of this UID are refused')).toMatchObject([
      { uid: STRANGER, reason: 'uid-not-listed', todo: expect.stringContaining('`callers`') },
    ]);
    expect(audit().map(({ unmapped: facts }) => facts)).toContainEqual(
      expect.objectContaining({ outcome: 'peer-refused', reason: 'uid-not-listed' }),
    );
    const name = 'secret_resolver_rejected_peers_total';
    expect(faulty.get(name)).toBeGreaterThan(healthy.get(name) ?? Number.NaN);
    expect(text).toMatch(new RegExp(`^${STRANGER} +uid-not-listed +\\d+ +\\d+ s ago$`, 'm'));
    expect(json.refusedPeers).toMatchObject([{ uid: STRANGER, reason: 'uid-not-listed' }]);
  });
});

describe('at last the cause is named where', () => {
  it('the socket is gone and cannot be bound again', async () => {
    const before = await scrape();
    const folder = dirname(workspace.socket);
    // Between the two it would bind again.
    process.kill(serve.pid, 'SIGSTOP');
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    process.kill(serve.pid, 'SIGCONT');
    await until(() => logged('the socket cannot be bound again yet').length > 0);
    expect(logged('the socket file was removed; binding again')[0]).toMatchObject({ path: workspace.socket });
    expect(logged('health is NOT_SERVING').at(-1)).toMatchObject({
      because: [{ reason: 'socket-lost' }, { reason: 'key-missing' }],
    });
    expect(audit()).toContainEqual(
      expect.objectContaining({ class_uid: 2004, message: 'the socket file was removed' }),
    );
    const { code, stderr } = await cli(['status', '--socket', workspace.socket]);
    expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringContaining('no answer on') });
    // A connection that is open goes on.
    expect((await client.getStatus()).notServingBecause[0]).toMatchObject({ reason: 'socket-lost' });
    await new Promise((wake) => setTimeout(wake, 1_000));
    const after = await scrape();
    const lost = 'secret_resolver_not_serving{reason="socket-lost",provider="",key="",reference=""}';
    expect(after.get(lost)).toBe(1);
    expect(before.has(lost)).toBe(false);
    scenarios.push({
      name: 'socket gone',
      before: proven(healthy),
      after: new Map([...proven(healthy), [lost, 1]]),
      alerts: ['SecretResolverNotServing'],
    });
  });
});

it('each line of the log and of the audit has each name once', () => {
  const lines = [serve.stderr, serve.stdout].flatMap((text) => text.trimEnd().split('\n'));
  expect(lines.length).toBeGreaterThan(20);
  expect(lines.filter((line) => JSON.stringify(JSON.parse(line)) !== line)).toEqual([]);
});

describe('docs/faults.md', () => {
  it('names log lines that were written, and metrics and alerts that exist', async () => {
    const said = serve.stderr + (await others).failing.stderr;
    const rows = readFileSync('docs/faults.md', 'utf8')
      .split('\n')
      .filter((line) => /^\| [a-z]/.test(line) && !line.startsWith('| fault'))
      .map((line) => line.split(' | '));
    expect(rows).toHaveLength(12);
    const alerts = ALERTS.map(({ alert }) => alert);
    const metrics = Object.values(METRICS).map(({ name }) => name as string);
    for (const [, log = '', , metric = '', alert = ''] of rows) {
      // Boundary-fault.test.ts has the log of a pod.
      for (const [, message = ''] of log.matchAll(/`([^`]+ [^`]+)`/g))
        if (
          !/^(the isolation boundary|kubectl)/.test(message) &&
          (process.getuid?.() === 0 || !message.startsWith('peers'))
        )
          expect(said).toContain(message);
      for (const [, name] of metric.matchAll(/`([a-z_]{3,})/g))
        expect(metrics).toContain(`secret_resolver_${name?.replace(/_count$/, '')}`);
      for (const [name] of alert.matchAll(/[A-Z]\w+/g)) expect(alerts).toContain(`SecretResolver${name}`);
    }
  });
});

const scenarios: Scenario[] = [];

describeIf('the alerts of deploy/alerts', MISSING_PROMTOOL, () => {
  it('rest on a page of metrics that Prometheus reads, with nothing to complain of', () => {
    expect(page).toContain('secret_resolver_not_serving{');
    expect(metricFaults(page)).toBe('');
  });

  it('fire for what the resolver showed, each for its own cause, and are quiet while it is healthy', () => {
    const only = (pattern: RegExp): Scrape =>
      new Map([...proven(healthy), ...[...faulty].filter(([name]) => pattern.test(name))]);
    const from = (name: string, pattern: RegExp, ...alerts: string[]): Scenario => ({
      name,
      before: proven(healthy),
      after: only(pattern),
      // The client tries again and again; the test has no ten minutes to watch it.
      growing: /rejected_peers/,
      alerts,
    });
    const up = 'up{job="agents/secret-resolver"}';
    expectAlerts([
      {
        name: 'healthy, with an allKeys Secret',
        before: proven(healthy),
        after: proven(healthy),
        alerts: [],
      },
      from('required key removed', /not_serving|"key-missing",required="true"/, 'SecretResolverNotServing'),
      from('expired', /reason="expired"/, 'SecretResolverCredentialRefused'),
      from('no endpoint', /reason="no-endpoints"/, 'SecretResolverCredentialRefused'),
      from('volume not mounted', /reason="secret-missing"/, 'SecretResolverCredentialRefused'),
      from('relaxed', /boundary_proven/, 'SecretResolverBoundaryNotProven'),
      from('rejecting', /acknowledge_seconds.*rejected/, 'SecretResolverSupervisorRejecting'),
      {
        name: 'lagging for as long as it takes',
        before: proven(healthy),
        after: only(/unacknowledged/),
        growing: /unacknowledged/,
        alerts: ['SecretResolverSupervisorLagging'],
      },
      ...(process.getuid?.() === 0
        ? [from('wrong UID', /rejected_peers/, 'SecretResolverPeersRefused')]
        : []),
      {
        name: 'boundary broken: the process ended',
        before: new Map([...proven(healthy), [up, 1]]),
        after: new Map([[up, 0]]),
        alerts: ['SecretResolverAbsent'],
      },
      ...scenarios.map((scenario) => ({
        ...scenario,
        before: proven(scenario.before),
        after: proven(scenario.after),
      })),
    ]);
  });

  it('fires for a Secret that is as old as the rule says, and not before', () => {
    const ages = [...healthy.keys()].filter((name) =>
      name.startsWith('secret_resolver_generation_age_seconds{'),
    );
    const [age = ''] = ages;
    expect(ages.length).toBeGreaterThan(1);
    const quarter = 90 * 86_400;
    const scenario = (name: string, seconds: number, ...alerts: string[]): Scenario => ({
      name,
      before: proven(healthy),
      after: new Map([...proven(healthy), [age, seconds]]),
      alerts,
    });
    expectAlerts([
      scenario('a Secret of 90 days', quarter),
      scenario('a Secret of more than 90 days', quarter + 1, 'SecretResolverSecretOld'),
    ]);
  });

  it('fires for a resolver without metrics, by what kube-state-metrics says of its pod', () => {
    const pod = (container: string, phase: string): Scrape =>
      new Map([
        [`kube_pod_init_container_info{container="${container}",image="i:1"}`, 1],
        ...['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'].map(
          (each) => [`kube_pod_status_phase{phase="${each}"}`, each === phase ? 1 : 0] as const,
        ),
      ]);
    const running = pod('secret-resolver', 'Running');
    const scraped: Scrape = new Map([...proven(healthy), ...running]);
    const scenario = (name: string, after: Scrape, ...alerts: string[]): Scenario => ({
      name,
      before: scraped,
      after,
      alerts,
    });
    expectAlerts([
      scenario('running and scraped', scraped),
      scenario('running, and its metrics have gone', running, 'SecretResolverAbsent'),
      { ...scenario('never scraped', running, 'SecretResolverAbsent'), before: new Map() },
      {
        ...scenario('never started', pod('secret-resolver', 'Pending'), 'SecretResolverAbsent'),
        before: new Map(),
      },
      scenario('a job that is done', pod('secret-resolver', 'Succeeded')),
      scenario('a pod that has failed', pod('secret-resolver', 'Failed')),
      { ...scenario('a pod without a resolver', pod('istio-init', 'Running')), before: new Map() },
    ]);
  });
});

/** A bare machine has no pod's boundary, so these tests run relaxed; all else is as it was scraped. */
function proven(scrape: Scrape): Scrape {
  return new Map([...scrape, ['secret_resolver_boundary_proven', 1]]);
}

function correlations(outcome: string): (string | undefined)[] {
  return audit().flatMap((record) => {
    const { metadata, unmapped: facts } = record as {
      metadata: { correlation_uid?: string };
      unmapped: { outcome?: string };
    };
    return facts.outcome === outcome ? metadata.correlation_uid : [];
  });
}
