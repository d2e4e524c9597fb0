/** One call after another from one client, against a grpc-js server that does nothing. */
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { RawClient, SERVICE } from '../../../test/support/raw-calls.ts';
import { BARS } from '../bars.ts';
import { Child } from '../child.ts';
import { distribution } from '../distribution.ts';
import type { FigureResult, Scale } from '../figure.ts';
import { floorRatio, interleave, reduce } from '../interleave.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { compare, percentile } from '../stats.ts';
import { type Bar, comparisonRow, type Row } from '../verdict.ts';
import { waitForCalls } from '../wait-for-calls.ts';

export const GET = `${SERVICE}/GetProviderEnvironment`;
const EMPTY = '/bench.Empty/Get';

/** Microseconds that each of `count` calls took. */
export async function timeCalls(client: RawClient, method: string, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let call = 0; call < count; call++) {
    const from = process.hrtime.bigint();
    const { code, details } = await client.call(method);
    times.push(Number(process.hrtime.bigint() - from) / 1000);
    if (code === status.RESOURCE_EXHAUSTED) {
      times.pop();
      call -= 1;
      await waitForCalls();
    } else if (code !== 0) throw new Error(`${method} failed: ${details}`);
  }
  return times;
}

const p50 = (samples: readonly number[]) => percentile(samples, 50);
const p99 = (samples: readonly number[]) => percentile(samples, 99);

interface UnaryFigure {
  readonly id: string;
  readonly keys: number;
  /** Whether the baseline returns as many bytes as we do, or none. */
  readonly sameBytes: boolean;
  readonly bars: { readonly p50: Bar; readonly p99: Bar };
}

async function unary(figure: UnaryFigure, scale: Scale): Promise<FigureResult> {
  const { id, keys, sameBytes, bars } = figure;
  await using resolver = await ResolverProcess.serving(keys);
  using ours = new RawClient(resolver.socket);
  const bytes = (await ours.call(GET)).response?.length ?? 0;
  if (bytes < keys * 32) throw new Error(`a response of ${bytes} bytes cannot hold ${keys} credentials`);
  const socket = join(resolver.workspace.root, 'empty.sock');
  await using _server = await Child.start('grpc-server.mjs', [socket, String(sameBytes ? bytes : 0)]);
  using empty = new RawClient(socket);
  // What the response costs by itself, where the baseline has none.
  const opaqueSocket = join(resolver.workspace.root, 'opaque.sock');
  await using _opaque = await Child.start('grpc-server.mjs', [opaqueSocket, String(bytes)]);
  using opaque = new RawClient(opaqueSocket);

  const block = scale.pick(500, 100);
  const warmUp = scale.pick(3_000, 600);
  await timeCalls(ours, GET, warmUp);
  await timeCalls(empty, EMPTY, warmUp);
  await timeCalls(opaque, EMPTY, warmUp);
  const rounds = await interleave(scale.pick(30, 6), {
    ours: () => timeCalls(ours, GET, block),
    baseline: () => timeCalls(empty, EMPTY, block),
    floor: () => timeCalls(opaque, EMPTY, block),
  });
  const name = `unary call, ${keys.toLocaleString('en')} credentials`;
  const baseline = sameBytes ? `grpc-js call, ${Math.round(bytes / 1024)} KiB opaque` : 'empty grpc-js call';
  const common = { unit: 'µs', baseline } as const;
  const row = (percent: 'p50' | 'p99', of: typeof p50): Row => ({
    ...comparisonRow(
      {
        ...common,
        id: `${id}-${percent}`,
        figure: `${name}, ${percent}`,
        bar: bars[percent],
      },
      compare(reduce(rounds, of)),
    ),
    floor: { name: 'grpc-js call of as many opaque bytes', value: floorRatio(rounds, of) },
  });
  return {
    rows: [row('p50', p50), row('p99', p99)],
    details: {
      distributions: [
        distribution({ name, unit: 'µs', baseline, p50: bars.p50.atMost, p99: bars.p99.atMost }, rounds),
      ],
    },
    notes: [
      `${name}: ${bytes} bytes a response; ${rounds.length} rounds of ${block} calls a side, one after another, raw bytes on both clients.`,
    ],
  };
}

export const unary20 = (scale: Scale): Promise<FigureResult> =>
  unary(
    {
      id: 'unary-20',
      keys: 20,
      sameBytes: false,
      bars: { p50: BARS['unary-20-p50'], p99: BARS['unary-20-p99'] },
    },
    scale,
  );

const UNARY_1000 = { on: 'ratio', atMost: 1.1 } as const;

export const unary1000 = (scale: Scale): Promise<FigureResult> =>
  unary(
    { id: 'unary-1000', keys: 1_000, sameBytes: true, bars: { p50: UNARY_1000, p99: UNARY_1000 } },
    scale,
  );
