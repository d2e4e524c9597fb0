/** Metrics of a real `serve`, asked for over HTTP as Prometheus does, and the table that documents them. */
import { appendFileSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { METRICS, Metrics } from '../../src/observe/metrics.ts';
import { cli, startServe, until } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { describeAsRoot } from '../support/root.ts';
import { ARTIFACTS, newSecret } from '../support/secrets.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

/** A UID that no rule lists. */
const STRANGER = 54_321;

let workspace: Workspace;
let port: number;
let secrets: string[];

beforeEach(async () => {
  workspace = new Workspace();
  port = await freePort();
  secrets = [];
  workspace.writeConfig({ metrics: { listen: `127.0.0.1:${port}` } });
  const source = (key: string) => ({ type: 'kubernetesSecret', namespace: NAMESPACE, name: 'gitlab', key });
  workspace.writeProvider('gitlab.yaml', {
    name: 'gitlab',
    type: 'custom',
    endpoints: ENDPOINTS,
    credentials: { GITLAB_TOKEN: { source: source('token') }, GITLAB_USER: { source: source('user') } },
  });
});

afterEach(() => workspace[Symbol.dispose]());

function secret(): string {
  const text = newSecret();
  secrets.push(text);
  return text;
}

/** One rotation; without a user where told so. */
function rotate(withUser = true): void {
  workspace.secret('gitlab').write(withUser ? { token: secret(), user: secret() } : { token: secret() });
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function ask(path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    call.once('error', reject);
    call.end();
  });
}

/** Series → number. What was read is kept for the leak search and searched here already. */
async function scrape(): Promise<Map<string, number>> {
  const { status, body } = await ask('/metrics');
  expect(status).toBe(200);
  appendFileSync(join(ARTIFACTS, 'metrics.txt'), body);
  for (const text of secrets) expect(body.includes(text)).toBe(false);
  return new Map(
    body
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

/** Asks no more often than the listener answers, until a series has a number. */
async function untilSeries(name: string, value: number | undefined): Promise<Map<string, number>> {
  let found = await scrape();
  const deadline = performance.now() + 8_000;
  while (found.get(name) !== value) {
    if (performance.now() > deadline) throw new Error(`${name} is ${found.get(name)} and not ${value}`);
    await new Promise((wake) => setTimeout(wake, 150));
    found = await scrape();
  }
  return found;
}

const ROTATIONS = 'secret_resolver_rotations_total';
const SERVED = 'secret_resolver_serve_seconds_count';
const APPLIED = 'secret_resolver_acknowledge_seconds_count{outcome="applied"}';
const REJECTED = 'secret_resolver_acknowledge_seconds_count{outcome="rejected"}';
const MISSING = 'secret_resolver_refused_credentials{reason="key-missing",required="false"}';
const AGE = `secret_resolver_generation_age_seconds{secret="${NAMESPACE}/gitlab"}`;

describe('metrics of serve', () => {
  it('tell rotations, lags, acknowledgements, watchers, refusals and ages as they happen', async () => {
    rotate();
    await using _serve = await startServe(workspace.configFile);
    const quiet = await scrape();
    expect(quiet.get(ROTATIONS)).toBe(0);
    expect(quiet.get('secret_resolver_watchers')).toBe(0);
    expect(quiet.get('secret_resolver_rejected_peers_total')).toBe(0);
    expect(quiet.get(SERVED)).toBe(0);
    expect(quiet.get(APPLIED)).toBe(0);
    expect([...quiet.keys()].filter((name) => name.includes('refused'))).toEqual([]);

    using client = connect({ socket: workspace.socket });
    const stop = new AbortController();
    const handles = new Set<string>();
    let seen = 0;
    let rejecting = false;
    const watching = (async () => {
      for await (const environment of client.watchProviderEnvironment({ signal: stop.signal })) {
        seen += 1;
        for (const { handle } of environment.credentials.values()) handles.add(handle);
        if (rejecting) environment.reject();
      }
    })();
    // The first snapshot was there before the watch: it is acknowledged, and is no lag of a rotation.
    const first = await untilSeries(APPLIED, 1);
    expect(first.get('secret_resolver_watchers')).toBe(1);
    expect(first.get(SERVED)).toBe(0);
    const ageBefore = first.get(AGE) ?? -1;
    expect(ageBefore).toBeGreaterThanOrEqual(0);

    // Waiting lets the old generation grow older than the new one can be when it is looked at.
    await new Promise((wake) => setTimeout(wake, 1_500));
    rotate();
    const rotated = await untilSeries(APPLIED, 2);
    expect(rotated.get(ROTATIONS)).toBe(1);
    expect(rotated.get(SERVED)).toBe(1);
    // No machine here is so slow that a rotation takes longer than the highest bound to be handed over.
    expect(rotated.get('secret_resolver_serve_seconds_bucket{le="10"}')).toBe(1);
    expect(rotated.get('secret_resolver_serve_seconds_sum')).toBeGreaterThan(0);
    expect(rotated.get(AGE)).toBeLessThan(ageBefore + 1.5);

    rejecting = true;
    rotate(false);
    const refused = await untilSeries(REJECTED, 1);
    expect(refused.get(APPLIED)).toBe(2);
    expect(refused.get(ROTATIONS)).toBe(2);
    expect(refused.get(MISSING)).toBe(1);

    rotate();
    const repaired = await untilSeries(MISSING, undefined);
    expect(repaired.get(ROTATIONS)).toBe(3);
    await untilSeries(APPLIED, 2);
    await until(() => seen === 4);
    stop.abort();
    await watching;
    await untilSeries('secret_resolver_watchers', 0);
    expect(seen).toBe(4);

    const { body } = await ask('/metrics');
    for (const handle of handles) expect(body).not.toContain(handle);
    for (const { name, type } of Object.values(METRICS)) expect(body).toContain(`# TYPE ${name} ${type}\n`);
  });

  it('report no age for a Secret that cannot be read', async () => {
    await using _serve = await startServe(workspace.configFile);
    const found = await scrape();
    expect([...found.keys()].filter((name) => name.includes('generation_age'))).toEqual([]);
    expect(found.get('secret_resolver_refused_credentials{reason="secret-missing",required="false"}')).toBe(
      2,
    );
    rotate();
    // The folder that appears is found by the re-read, which a test need not wait for: a restart sees it at once.
    await using again = await restarted();
    expect((await scrape()).has(AGE)).toBe(true);
    expect(again.child.exitCode).toBe(null);

    async function restarted() {
      await _serve.stop();
      return startServe(workspace.configFile);
    }
  });

  it('say 0 for the boundary where it is relaxed', async () => {
    rotate();
    await using _serve = await startServe(workspace.configFile);
    expect((await scrape()).get('secret_resolver_boundary_proven')).toBe(0);
  });
});

describeAsRoot('metrics of refused peers', () => {
  it('count each connection that is closed at accept', async () => {
    rotate();
    await using _serve = await startServe(workspace.configFile);
    const got = await cli(['get', '--socket', workspace.socket], { uid: STRANGER, gid: STRANGER });
    expect(got.code).not.toBe(0);
    const count = (await scrape()).get('secret_resolver_rejected_peers_total') ?? 0;
    expect(count).toBeGreaterThanOrEqual(1);
    await cli(['get', '--socket', workspace.socket]);
    expect((await scrape()).get('secret_resolver_rejected_peers_total')).toBe(count);
  });
});

describe('the metrics listener', () => {
  it('answers GET of /metrics, one request a connection, and nothing else', async () => {
    rotate();
    await using _serve = await startServe(workspace.configFile);
    const got = await ask('/metrics');
    expect(got.headers).toMatchObject({
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      connection: 'close',
    });
    expect(await ask('/metrics', 'POST')).toMatchObject({ status: 405, headers: { allow: 'GET' } });
    for (const path of ['/', '/metrics/', '/metrics?x=1', '/livez', '/../etc/passwd'])
      expect((await ask(path)).status).toBe(404);
  });

  it('is rendered once a second at most', async () => {
    let renderings = 0;
    const counted = new Metrics(() => {
      renderings += 1;
      const audit = { error: undefined, dropped: 0 };
      return { boundary: undefined, volumes: [], watches: [], refusals: [], notServing: [], audit };
    });
    for (let now = 0; now < 3_000; now += 100) counted.text(now);
    expect(renderings).toBe(3);
  });

  it('ends the start with exit 2 and a sentence where its port is taken', async () => {
    await using _serve = await startServe(workspace.configFile);
    const taken = port;
    workspace.writeConfig({
      metrics: { listen: `127.0.0.1:${taken}` },
      socket: { path: `${workspace.socket}.second`, mode: '0666' },
    });
    const second = await cli(['serve', '--relaxed', '--config', workspace.configFile]);
    expect(second.code).toBe(2);
    expect(second.stderr).toContain(`metrics.listen: cannot bind 127.0.0.1:${taken}: EADDRINUSE`);
  });
});

describe('the documents', () => {
  it('draw every metric, and no other', () => {
    const dashboard = readFileSync('deploy/grafana/dashboard.json', 'utf8');
    const drawn = new Set(
      [...dashboard.matchAll(/secret_resolver_\w+/g)].map(([name]) => name.replace(/_(bucket|count)$/, '')),
    );
    const known = Object.values(METRICS).map(({ name }) => name as string);
    expect([...drawn].toSorted()).toEqual(known.toSorted());
  });
});
