/** Resident memory: at rest, and after a load that a sidecar sees in a long life. Against Node that does nothing. */

import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { RawClient, SERVICE } from '../../../test/support/raw-calls.ts';
import { BareNode, Child } from '../child.ts';
import { type FigureResult, type MemoryPoint, pause, type Scale } from '../figure.ts';
import { floorRatio, reduce } from '../interleave.ts';
import { type Memory, memoryOf, requireRoot } from '../proc.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { compare, growthOfLastHalf, percentile, spread } from '../stats.ts';
import { Subscriber } from '../subscriber.ts';
import { comparisonRow, type Row } from '../verdict.ts';
import { waitForCalls } from '../wait-for-calls.ts';
import { Writer } from '../writer.ts';

const KEYS = 20;
/** In a response, about. */
const BYTES_OF_A_CREDENTIAL = 190;
/** One takes two minutes. */
const ROUNDS_OF_LOAD = 1;
/** Samples of the memory over a load. */
const SAMPLES = 100;
/** Milliseconds that the resolver is left alone after a load, before its memory counts as "after". */
const REST_AFTER_LOAD_MS = 2_000;

interface Sides {
  readonly ours: Memory;
  readonly baseline: Memory;
  /** A grpc-js server that could ask who connected, and does nothing else. */
  readonly floor: Memory;
}

/** That server, in a folder that goes away with it. */
async function emptyServer(): Promise<{ readonly server: Child; readonly socket: string } & AsyncDisposable> {
  const beside = ResolverProcess.prepare(1);
  const socket = join(beside.workspace.root, 'empty.sock');
  const server = await Child.start('grpc-server.mjs', [
    socket,
    String(KEYS * BYTES_OF_A_CREDENTIAL),
    'native',
  ]);
  return {
    server,
    socket,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await beside[Symbol.asyncDispose]();
    },
  };
}

/** `rssRatio` is to bare Node; private dirty memory is what a pod costs, in MiB. */
function rows(
  id: string,
  figure: string,
  sides: readonly Sides[],
  atMost: { readonly rssRatio: number; readonly privateDirty: number },
): Row[] {
  const common = { unit: 'MiB', baseline: 'bare Node at rest' } as const;
  const bars = {
    rss: { on: 'ratio', atMost: atMost.rssRatio },
    privateDirty: { on: 'value', atMost: atMost.privateDirty },
  } as const;
  return (['rss', 'privateDirty'] as const).map((field) => {
    const name = field === 'rss' ? 'RSS' : 'private dirty';
    const of = (memory: Memory) => memory[field];
    return {
      ...comparisonRow(
        {
          ...common,
          bar: bars[field],
          id: `${id}-${name.replaceAll(' ', '-').toLowerCase()}`,
          figure: `${figure}, ${name}`,
        },
        compare(reduce(sides, of)),
      ),
      floor: {
        name: 'grpc-js and koffi without us',
        value:
          field === 'rss'
            ? floorRatio(sides, of)
            : percentile(
                sides.map(({ floor }) => of(floor)),
                50,
              ),
      },
    };
  });
}

export async function memoryAtRest(scale: Scale): Promise<FigureResult> {
  requireRoot();
  const restMs = scale.pick(20_000, 1_500);
  const sides: Sides[] = [];
  for (let round = 0; round < scale.pick(5, 2); round++) {
    await using ours = await ResolverProcess.serving(KEYS);
    await using bare = new BareNode();
    await using empty = await emptyServer();
    await pause(restMs);
    sides.push(memoryOfAll(ours, bare, empty.server));
  }
  return {
    rows: rows('memory-rest', 'memory at rest', sides, { rssRatio: 1.4, privateDirty: 20 }),
    notes: [
      `memory at rest: ${KEYS} credentials, ${restMs / 1000} s after SERVING, from /proc/PID/smaps_rollup.`,
    ],
  };
}

function memoryOfAll(ours: ResolverProcess, bare: BareNode, empty: Child): Sides {
  const floor = memoryOf(empty.process.pid ?? -1);
  return { ours: memoryOf(ours.pid), baseline: memoryOf(bare.pid), floor };
}

/** As many calls to a server that does nothing else. */
async function loadEmpty(socket: string, requests: number): Promise<void> {
  using client = new RawClient(socket);
  for (let call = 0; call < requests; call++) await client.call('/bench.Empty/Get');
}

/** Calls and rotations at the same time: `perRotation` calls for each, and a watcher that takes every snapshot. */
async function load(
  resolver: ResolverProcess,
  requests: number,
  rotations: number,
  sample: (requests: number) => void,
): Promise<void> {
  await using writer = await Writer.start();
  using client = new RawClient(resolver.socket);
  using subscriber = await Subscriber.to(resolver);
  const perRotation = requests / rotations;
  let failed = 0;
  for (let rotation = 1; rotation <= rotations; rotation++) {
    const written = writer.rotate(resolver, rotation);
    for (let call = 0; call < perRotation; call++) {
      const { code } = await client.call(`${SERVICE}/GetProviderEnvironment`);
      if (code === status.RESOURCE_EXHAUSTED) {
        call -= 1;
        await waitForCalls();
      } else if (code !== 0) failed += 1;
    }
    await written;
    if (rotation % Math.ceil(rotations / SAMPLES) === 0) sample(rotation * perRotation);
  }
  await subscriber.has(rotations);
  if (failed > 0) throw new Error(`${failed} of ${requests} calls were refused`);
}

export async function memoryAfterLoad(scale: Scale): Promise<FigureResult> {
  requireRoot();
  const requests = scale.pick(200_000, 4_000);
  const rotations = requests / 10;
  const sides: Sides[] = [];
  const growths: Record<keyof Memory, number[]> = { rss: [], privateDirty: [] };
  let series: MemoryPoint[] = [];
  for (let round = 0; round < ROUNDS_OF_LOAD; round++) {
    await using resolver = await ResolverProcess.serving(KEYS);
    await using bare = new BareNode();
    await using empty = await emptyServer();
    series = [];
    await load(resolver, requests, rotations, (served) =>
      series.push({ requests: served, ...memoryOf(resolver.pid) }),
    );
    await loadEmpty(empty.socket, requests);
    await pause(REST_AFTER_LOAD_MS);
    sides.push(memoryOfAll(resolver, bare, empty.server));
    for (const field of ['rss', 'privateDirty'] as const)
      growths[field].push(growthOfLastHalf(series.map((point) => point[field])));
  }
  const figure = `memory after ${requests.toLocaleString('en')} requests, ${rotations.toLocaleString('en')} rotations`;
  const growth = (field: keyof Memory, name: string): Row => ({
    id: `memory-load-growth-${name.replaceAll(' ', '-').toLowerCase()}`,
    figure: `growth over the last half of that, ${name}`,
    unit: '%',
    ours: percentile(growths[field], 50) * 100,
    baseline: { name: 'flat', value: 0 },
    rounds: growths[field].length,
    bar: { on: 'value', atMost: 5, fullRunOnly: true },
  });
  const bare = {
    rss: compare(reduce(sides, ({ rss }) => rss)).baseline,
    privateDirty: compare(reduce(sides, ({ privateDirty }) => privateDirty)).baseline,
  };
  const slope = spread(growths.rss).median * percentile(series.map(({ rss }) => rss).slice(-SAMPLES / 2), 50);
  return {
    rows: [
      ...rows('memory-load', figure, sides, { rssRatio: 1.7, privateDirty: 26 }),
      growth('rss', 'RSS'),
      growth('privateDirty', 'private dirty'),
    ],
    details: { memory: { bare, series } },
    notes: [
      `memory after load: ${KEYS} credentials, ten calls for each rotation, one watcher; read ${REST_AFTER_LOAD_MS / 1000} s after the load. Flat means that the line through the last half rises by at most 5 %; RSS went ${slope >= 0 ? 'up' : 'down'} by ${Math.abs((slope / (requests / 2)) * 100_000).toFixed(2)} MiB for 100,000 requests.`,
    ],
  };
}
