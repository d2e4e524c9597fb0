/** The same stock Envoy by our SDS and by its own file SDS: from the rename of `..data` to the header that its upstream sees. */
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Bootstrap } from '../../../test/interop/envoy-program.ts';
import type { FigureResult, Scale } from '../figure.ts';
import { rotationIn } from '../generations.ts';
import { interleave, reduce } from '../interleave.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { compare, percentile } from '../stats.ts';
import { comparisonRow, missingRow, type Row } from '../verdict.ts';
import { Writer } from '../writer.ts';
import { type Reader, Rotations } from './rotation.ts';

/** As `generation` calls it. */
const KEY = 'KEY_0';
const ROW = {
  id: 'rotation-envoy',
  figure: 'rename of ..data → header at the upstream of an Envoy that has it by our SDS, p50',
  unit: 'ms',
} as const satisfies Partial<Row>;

export async function envoy({ quick, pick, peers }: Scale): Promise<FigureResult> {
  if (quick) return { rows: [missingRow(ROW, 'a short run leaves it out')] };
  // Not before: it loads the test runner.
  const { Envoy, installedEnvoy } = await import('../../../test/interop/envoy-program.ts');
  const program = peers.envoy ?? installedEnvoy();
  if (program === undefined) return { rows: [missingRow(ROW, 'give --envoy')] };
  await using writer = await Writer.start();
  await using opened = new AsyncDisposableStack();
  const side = async (ourSds: boolean): Promise<Rotations> => {
    const volume = opened.use(await (ourSds ? ResolverProcess.serving(1) : ResolverProcess.prepare(1)));
    const { root } = volume.workspace;
    const upstream = join(root, 'upstream.sock');
    const server = createServer((request, response) => response.end(request.headers['private-token']));
    server.listen(upstream);
    opened.defer(() => void server.close());
    const running = opened.use(
      new Envoy({
        ...{ program, upstream, folder: join(root, 'envoy'), resolver: volume.socket, api: 'GRPC' },
        uid: process.getuid?.() ?? 0,
        ...(ourSds ? { change: askForKey } : { file: join(volume.directory, KEY) }),
      }),
    );
    const reader: Reader = {
      has: async (rotation) => {
        for (const from = performance.now(); performance.now() - from < 30_000; ) {
          const { body } = await running.get();
          if (rotationIn(Buffer.from(body), volume.prefix) >= rotation) return process.hrtime.bigint();
        }
        throw new Error(`Envoy missed rotation ${rotation}`);
      },
    };
    await running.until(200, `${volume.prefix}-0-0`);
    return new Rotations(writer, volume, [reader]);
  };
  const [ours, baseline] = [await side(true), await side(false)];
  for (const each of [ours, baseline]) await each.many(pick(30, 2));
  const block = pick(20, 2);
  const rounds = await interleave(pick(10, 1), {
    ours: () => ours.many(block),
    baseline: () => baseline.many(block),
  });
  return {
    rows: [
      comparisonRow(
        { ...ROW, baseline: 'the same Envoy, its own file SDS' },
        compare(reduce(rounds, (times) => percentile(times, 50))),
      ),
    ],
    notes: [`Envoy: one key, one worker; asked again and again until its upstream sees the new value.`],
  };
}

/** The example asks for another one. */
function askForKey({ static_resources }: Bootstrap): void {
  for (const { filter_chains } of static_resources.listeners) {
    const [injector] = filter_chains[0].filters[0].typed_config.http_filters;
    if (injector !== undefined) injector.typed_config.credential.typed_config.credential.name = KEY;
  }
}
