/** The real Envoy, on the socket of a resolver whose boundary is proven, and then broken by a process with its UID. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { GOOD_POD, RESOLVER_UID, runPod, socketIn, unprivileged } from '../boundary/pod.ts';
import { until } from '../support/cli.ts';
import { describeWithEnvoy, Envoy, installEnvoy, RELEASES } from './envoy-program.ts';

/** A look at the boundary is taken every 15 s. */
const TIMEOUT_MS = 90_000;
const VARIANTS = RELEASES.flatMap((release) =>
  (['GRPC', 'DELTA_GRPC'] as const).map((api) => ({ release, api })),
);

describeWithEnvoy('Envoy', () => {
  it('injects nothing from the moment that the boundary is broken, by each variant', {
    timeout: 2 * TIMEOUT_MS,
  }, async () => {
    const programs = await Promise.all(VARIANTS.map(({ release }) => installEnvoy(release)));
    const seen: string[] = [];
    const { code, stdout, stderr } = await runPod(
      'envoy-boundary',
      {
        ...GOOD_POD,
        processNamespace: 'shared',
        neighbours: [{ identity: unprivileged(RESOLVER_UID), onceTrue: '[ -e break ]', afterSeconds: 0 }],
        // Until it has its UID, the neighbour is root.
        config: 'boundary: {trusted: [{uid: 0}]}',
        program: 'app/src/main.ts serve --config pod/etc/config.yaml',
      },
      async (_sandbox, folder) => {
        await until(() => socketIn(folder) !== undefined, 20_000);
        const resolver = socketIn(folder) ?? '';
        const value = readFileSync(join(folder, 'secret'), 'utf8');
        const upstream = join(folder, 'upstream.sock');
        const server = createServer(({ headers }, response) => response.end(headers['private-token'])).listen(
          upstream,
        );
        await until(() => server.listening);
        chmodSync(upstream, 0o777);
        await using envoys = new AsyncDisposableStack();
        try {
          const each = VARIANTS.map(({ release, api }, at) =>
            envoys.use(
              new Envoy({
                ...{ program: programs[at] ?? '', uid: 0, api, upstream, resolver },
                folder: join(folder, `${release}-${api}`),
              }),
            ),
          );
          for (const envoy of each) await envoy.until(200, value);
          seen.push('served');
          writeFileSync(join(folder, 'break'), '');
          for (const envoy of each) await envoy.until(401, undefined, 30_000);
          seen.push('withdrawn');
        } finally {
          server.close();
        }
      },
      TIMEOUT_MS,
    );
    expect(seen, stderr).toEqual(['served', 'withdrawn']);
    expect(code).toBe(1);
    expect(stderr).toContain('the isolation boundary is broken; nothing is served from now on');
    expect(stdout.match(/"reason":"boundary-broken"/g)?.length).toBeGreaterThanOrEqual(VARIANTS.length);
  });
});
