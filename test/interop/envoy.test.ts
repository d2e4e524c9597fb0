/** The real Envoy, with the configuration of examples/envoy-sds, against the real `serve`. */

import { chmodSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { median } from 'simple-statistics';
import { afterEach, expect, it } from 'vitest';
import { type CliProcess, startServe, until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { describeWithEnvoy, Envoy, installEnvoy, RELEASES } from './envoy-program.ts';

const ENVOY_UID = 1337;
const OTHER_UID = 1338;
/** Rotations in each of the four runs; ROTATIONS=1000 for the whole. */
const ROTATIONS = Number(process.env.ROTATIONS ?? 250);

const opened: (Disposable | AsyncDisposable)[] = [];
afterEach(async () => {
  for (const item of opened.splice(0).reverse()) {
    if (Symbol.asyncDispose in item) await item[Symbol.asyncDispose]();
    else item[Symbol.dispose]();
  }
});
const use = <T extends Disposable | AsyncDisposable>(item: T): T => {
  opened.push(item);
  return item;
};

/** Answers with the header that it was sent. */
async function upstream(path: string): Promise<Server> {
  const server = createServer((request, response) => {
    const { 'private-token': token = 'none' } = request.headers;
    response.end(token);
  }).listen(path);
  await until(() => server.listening);
  chmodSync(path, 0o777);
  return server;
}

const VARIANTS = RELEASES.flatMap((release) =>
  (['GRPC', 'DELTA_GRPC'] as const).map((api) => ({ release, api })),
);

describeWithEnvoy('Envoy', () => {
  it.each(VARIANTS)(
    '$release by $api injects what is mounted, and nothing once it is not',
    { timeout: 400_000 },
    async ({ release, api }) => {
      const program = await installEnvoy(release);
      const workspace = use(new Workspace());
      workspace.writeConfig({ callers: [{ name: 'envoy', uid: ENVOY_UID, providers: ['*'] }] });
      workspace.writeBulkProvider('gitlab', 'credentials');
      const secret = workspace.secret('credentials');
      let value = newSecret();
      const values = [value];
      /** One rotation; returns the moment before the rename. */
      const write = (next = newSecret()): number => {
        let renamedAt = 0;
        value = next;
        values.push(next);
        secret.write({ GITLAB_TOKEN: next }, 0o444, () => {
          renamedAt = performance.now();
        });
        return renamedAt;
      };
      secret.write({ GITLAB_TOKEN: value });
      const server = await upstream(join(workspace.root, 'upstream.sock'));
      use({ [Symbol.dispose]: () => void server.close() });
      const serving = async (): Promise<CliProcess> => use(await startServe(workspace.configFile));
      let serve = await serving();
      const envoyOf = (name: string, uid: number, file?: string) =>
        use(
          new Envoy({
            ...{ program, uid, api, resolver: workspace.socket, folder: join(workspace.root, name) },
            upstream: join(workspace.root, 'upstream.sock'),
            ...(file !== undefined && { file }),
          }),
        );
      const envoy = envoyOf('envoy', ENVOY_UID);
      await envoy.until(200, value);

      // Every answer has the value before the rotation or the one after it, whole.
      const measure = async (of: Envoy, count: number): Promise<number> => {
        const lags: number[] = [];
        for (let rotation = 0; rotation < count; rotation++) {
          const before = value;
          const next = newSecret();
          const began = write(next);
          for (;;) {
            const { status, body } = await of.get();
            if (status !== 200 || (body !== before && body !== next))
              throw new Error(`status ${status} during rotation ${rotation}, or a value of another one`);
            if (body === next) break;
            if (performance.now() - began > 5_000) throw new Error(`rotation ${rotation} was missed`);
          }
          lags.push(performance.now() - began);
        }
        return median(lags);
      };
      const lag = await measure(envoy, ROTATIONS);
      const byFile = envoyOf('by-file', ENVOY_UID, join(secret.directory, 'GITLAB_TOKEN'));
      await byFile.until(200, value);
      const fileLag = await measure(byFile, 30);
      await byFile[Symbol.asyncDispose]();
      console.log(
        `Envoy ${release}, ${api}: rename to header ${lag.toFixed(1)} ms; by its own file SDS ${fileLag.toFixed(1)} ms (medians)`,
      );
      await envoy.until(200, value);

      // A removed key, and a removed Secret.
      secret.write({ OTHER: newSecret() });
      await envoy.until(401);
      write();
      await envoy.until(200, value);
      secret.vanish();
      await envoy.until(401);
      write();
      await envoy.until(200, value);

      const stranger = envoyOf('stranger', OTHER_UID);
      await until(() => serve.stdout.includes('peer-refused'), 20_000);
      await stranger.until(401, undefined, 40_000);
      await stranger[Symbol.asyncDispose]();

      // The weakness: until the resolver is back, Envoy goes on with what it has.
      serve.kill('SIGKILL');
      await serve.finished;
      const last = value;
      write();
      expect(await envoy.get()).toEqual({ status: 200, body: last });
      serve = await serving();
      await envoy.until(200, value);

      expect((await serve.stop()).code).toBe(0);
      await envoy.until(401);
      serve = await serving();
      await envoy.until(200, value);

      const dump = await envoy.dump();
      expect(dump).toContain('GITLAB_TOKEN');
      for (const each of values) expect(dump.includes(each)).toBe(false);
      const acknowledged = () =>
        serve
          .lines('stdout')
          .map(({ unmapped }) => unmapped as Record<string, unknown>)
          .some(({ outcome, node }) => outcome === 'acknowledged' && node === 'envoy');
      await until(acknowledged);
    },
  );
});
