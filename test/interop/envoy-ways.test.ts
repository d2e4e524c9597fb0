/**
 * Three ways to a credential in a stock Envoy, in one run: the Secret mounted in Envoy's own container, our SDS, and the kit.
 * Prints the figures of docs/why-not-mount-it-in-the-proxy.md.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { createServer, type RequestListener, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from 'simple-statistics';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EgressWorld, HOST, UID } from '../egress/world.ts';
import { until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { describeWithEnvoy, Envoy, installEnvoy } from './envoy-program.ts';

const ROTATIONS = 40;
/** Milliseconds after which a value that is still sent is called kept. */
const KEPT_MS = 2_000;
const PLACEHOLDER = 'openshell:resolve:env:GITLAB_TOKEN';

interface Way {
  readonly name: 'mounted' | 'SDS' | 'kit';
  readonly get: () => Promise<{ readonly status: number; readonly body: string }>;
  readonly pid: () => number;
}

describeWithEnvoy('a Secret mounted in Envoy, beside our SDS and the kit', () => {
  const stack = new AsyncDisposableStack();
  const figures: Record<string, Record<string, string>> = {};
  const note = (row: string, way: string, figure: string) => {
    figures[row] = { ...figures[row], [way]: figure };
  };
  const values: string[] = [];
  let world: EgressWorld;
  let ways: readonly Way[];

  /** Mounts a value, and until when it is valid. Returns the moment before the rename. */
  const mount = (next = newSecret(), expires = Date.now() + 3_600_000): number => {
    values.push(next);
    let at = 0;
    world.secret.write({ GITLAB_TOKEN: next, expires: String(expires) }, 0o444, () => {
      at = performance.now();
    });
    return at;
  };
  const current = () => values.at(-1) ?? '';
  /** Milliseconds since `from` until a way sends nothing any more; `kept` if it still does after KEPT_MS. */
  const withdrawn = async ({ get }: Way, from: number): Promise<string> => {
    for (;;) {
      const answer = await get();
      const elapsed = performance.now() - from;
      if (answer.status !== 200) return `${answer.status} after ${elapsed.toFixed(1)} ms`;
      expect(answer.body).toBe(current());
      if (elapsed > KEPT_MS) return 'kept';
      await sleep(2);
    }
  };
  const inForce = async (of = ways) => {
    for (const { get, name } of of)
      await until(
        async () => (await get().catch(() => undefined))?.body === current(),
        20_000,
        () => `${name} does not send the value`,
      );
  };

  beforeAll(async () => {
    world = stack.use(await EgressWorld.start());
    // Not kept alive: while the test searches a memory, its servers would close connections that Envoy is about to use.
    const answer: RequestListener = ({ headers }, response) => {
      response.setHeader('connection', 'close');
      response.end(headers['private-token']);
    };
    world.answer = answer;
    world.workspace.writeProvider('gitlab.yaml', {
      name: 'gitlab',
      type: 'custom',
      endpoints: [{ host: HOST, port: world.plainPort, tls: false }],
      credentials: {
        GITLAB_TOKEN: {
          source: { type: 'kubernetesSecret', name: 'credentials', key: 'GITLAB_TOKEN' },
          expiresAt: { key: 'expires' },
        },
      },
    });
    const upstream = join(world.workspace.root, 'upstream.sock');
    const server = createServer(answer);
    server.listen({ path: upstream, writableAll: true });
    stack.defer(() => void server.close());
    const program = await installEnvoy('1.40.0');
    let started = 0;
    const start = (file?: string) =>
      stack.use(
        new Envoy({
          ...{ program, upstream, uid: UID, resolver: world.workspace.socket, api: 'GRPC' },
          folder: join(world.workspace.root, `envoy-${started++}`),
          ...(file !== undefined && { file }),
        }),
      );
    mount();
    const [mounted, sds] = [start(join(world.secret.directory, 'GITLAB_TOKEN')), start()];
    ways = [
      { name: 'mounted', get: () => mounted.get(), pid: () => mounted.pid },
      { name: 'SDS', get: () => sds.get(), pid: () => sds.pid },
      { name: 'kit', get: () => throughProxy(world), pid: () => world.envoy.pid ?? 0 },
    ];
    await inForce();
    for (const envoy of [mounted, sds]) {
      const dump = await envoy.dump();
      expect(dump).toContain('GITLAB_TOKEN');
      for (const text of [current(), Buffer.from(current()).toString('base64')])
        expect(dump.includes(text)).toBe(false);
    }
  }, 90_000);
  afterAll(async () => {
    console.table(figures);
    await stack.disposeAsync();
  });

  it('sends the new value after a rotation, by each of them', async () => {
    for (const { name, get } of ways) {
      await inForce();
      const lags: number[] = [];
      for (let rotation = 0; rotation < ROTATIONS; rotation++) {
        const before = current();
        const at = mount();
        for (;;) {
          const { status, body } = await get();
          expect(status).toBe(200);
          if (body === current()) break;
          expect(body).toBe(before);
          expect(performance.now() - at).toBeLessThan(5_000);
        }
        lags.push(performance.now() - at);
      }
      note(`rename to upstream, median of ${ROTATIONS}`, name, `${median(lags).toFixed(1)} ms`);
    }
    await inForce();
    for (const { name, pid } of ways) {
      const found = inMemory(pid(), values);
      note('current value in the memory of Envoy', name, found.has(current()) ? 'found' : 'not found');
      note(
        `of ${values.length - 1} old values, found there`,
        name,
        String([...found].filter((value) => value !== current()).length),
      );
      note('memory of Envoy', name, memoryOf(pid()));
    }
    note('memory of the resolver', 'SDS', memoryOf(world.serve.child.pid));
    note('memory of the resolver', 'kit', memoryOf(world.serve.child.pid));
    note('memory of the kit', 'kit', memoryOf(world.kit.child.pid));
  });

  it('withdraws a removed key, a removed Secret and an expired value, unless it is mounted in Envoy', async () => {
    const removals: [string, () => number][] = [
      [
        'key removed',
        () => {
          world.secret.write({ OTHER: newSecret() });
          return performance.now();
        },
      ],
      [
        'Secret removed',
        () => {
          world.secret.vanish();
          return performance.now();
        },
      ],
      [
        'expired',
        () => {
          const at = performance.now() + 2_000;
          mount(newSecret(), Date.now() + 2_000);
          return at;
        },
      ],
    ];
    for (const [row, remove] of removals) {
      const since = remove();
      if (row === 'expired') await inForce();
      const times = await Promise.all(ways.map((way) => withdrawn(way, since)));
      for (const [index, { name }] of ways.entries()) note(row, name, times[index] ?? '');
      expect(times.map((time) => time.slice(0, 4))).toEqual(['kept', '401 ', '500 ']);
      // kubelet makes the link of a key after ..data: Envoy may look too early, and look again at the next rotation only.
      const [mounted, ...others] = ways as [Way, Way, Way];
      let rotations = 0;
      do {
        mount();
        rotations += 1;
        await inForce(others);
        await sleep(200);
      } while ((await mounted.get()).body !== current() && rotations < 10);
      await inForce([mounted]);
      note(`mounted again after: ${row}`, 'mounted', `rotation ${rotations} is seen`);
    }
  });

  it('goes on with the last value when the resolver is killed, unless it is the kit', async () => {
    const [mounted, sds, kit] = ways as [Way, Way, Way];
    world.serve.kill('SIGKILL');
    const since = performance.now();
    await world.serve.finished;
    const times = await Promise.all([sds, kit].map((way) => withdrawn(way, since)));
    for (const [index, { name }] of [sds, kit].entries()) note('resolver killed', name, times[index] ?? '');
    expect(times.map((time) => time.slice(0, 4))).toEqual(['kept', '500 ']);
    expect((await mounted.get()).status).toBe(200);
    note('resolver killed', 'mounted', 'not needed');
  });
});

/** A plain request with a placeholder, as an agent makes it through its proxy. */
function throughProxy(world: EgressWorld): Promise<{ status: number; body: string }> {
  return new Promise((done, fail) => {
    const path = world.url('/', world.plainPort);
    const headers = { host: new URL(path).host, 'private-token': PLACEHOLDER };
    request({ host: '127.0.0.1', port: world.proxyPort, path, headers, timeout: 10_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.once('end', () => done({ status: response.statusCode ?? 0, body }));
    })
      .once('error', fail)
      .end();
  });
}

/** Which values are anywhere in the writable memory of a process. */
function inMemory(pid: number, values: readonly string[]): Set<string> {
  const found = new Set<string>();
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
      const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      const bytes = Buffer.alloc(Number(BigInt(`0x${to || 0}`) - BigInt(`0x${from || 0}`)));
      try {
        readSync(memory, bytes, 0, bytes.length, BigInt(`0x${from || 0}`));
      } catch {
        continue;
      }
      for (const value of values) if (bytes.includes(value)) found.add(value);
    }
  } finally {
    closeSync(memory);
  }
  return found;
}

/** Resident memory, and what of it is the process's own and was written. */
function memoryOf(pid: number | undefined): string {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const mib = (field: string) =>
    Math.round(Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1]) / 1024);
  return `${mib('Rss')} MiB, ${mib('Private_Dirty')} of it private and dirty`;
}
