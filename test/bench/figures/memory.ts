/** Resident memory: at rest, and after a load that a sidecar sees in a long life. Against Node that does nothing. */
import { RawClient, SERVICE } from '../../support/raw-calls.ts';
import { BareNode } from '../child.ts';
import { type FigureResult, type MemoryPoint, pause, type Scale } from '../figure.ts';
import { type Memory, memoryOf, requireRoot } from '../proc.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { compare, growthOfLastHalf, percentile, type Round, spread } from '../stats.ts';
import { Subscriber } from '../subscriber.ts';
import { comparisonRow, type Row } from '../verdict.ts';
import { Writer } from '../writer.ts';

const KEYS = 20;
/** Samples of the memory over a load. */
const SAMPLES = 100;
/** Milliseconds that the resolver is left alone after a load, before its memory counts as "after". */
const REST_AFTER_LOAD_MS = 2_000;

interface Pair {
  readonly ours: Memory;
  readonly baseline: Memory;
}

function rows(id: string, figure: string, pairs: readonly Pair[], atMost: number): Row[] {
  const of = (field: keyof Memory): Round[] =>
    pairs.map(({ ours, baseline }) => ({ ours: ours[field], baseline: baseline[field] }));
  const common = { unit: 'MiB', baseline: 'bare Node at rest', bar: { on: 'ratio', atMost } } as const;
  return [
    comparisonRow({ ...common, id: `${id}-rss`, figure: `${figure}, RSS` }, compare(of('rss'))),
    comparisonRow(
      { ...common, id: `${id}-private-dirty`, figure: `${figure}, private dirty` },
      compare(of('privateDirty')),
    ),
  ];
}

export async function memoryAtRest(scale: Scale): Promise<FigureResult> {
  requireRoot();
  const restMs = scale.pick(20_000, 1_500);
  const pairs: Pair[] = [];
  for (let round = 0; round < scale.pick(7, 2); round++) {
    await using first = round % 2 === 0 ? await ResolverProcess.serving(KEYS) : new BareNode();
    await using second = round % 2 === 0 ? new BareNode() : await ResolverProcess.serving(KEYS);
    await pause(restMs);
    const [ours, bare] = round % 2 === 0 ? [first, second] : [second, first];
    pairs.push({ ours: memoryOf(ours.pid), baseline: memoryOf(bare.pid) });
  }
  return {
    rows: rows('memory-rest', 'memory at rest', pairs, 1.5),
    notes: [
      `memory at rest: ${KEYS} credentials, ${restMs / 1000} s after SERVING, from /proc/<pid>/smaps_rollup.`,
    ],
  };
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
      if (code !== 0) failed += 1;
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
  const pairs: Pair[] = [];
  const growths: Record<keyof Memory, number[]> = { rss: [], privateDirty: [] };
  let series: MemoryPoint[] = [];
  for (let round = 0; round < scale.pick(3, 1); round++) {
    await using resolver = await ResolverProcess.serving(KEYS);
    await using bare = new BareNode();
    series = [];
    await load(resolver, requests, rotations, (served) =>
      series.push({ requests: served, ...memoryOf(resolver.pid) }),
    );
    await pause(REST_AFTER_LOAD_MS);
    pairs.push({ ours: memoryOf(resolver.pid), baseline: memoryOf(bare.pid) });
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
    rss: percentile(
      pairs.map(({ baseline }) => baseline.rss),
      50,
    ),
    privateDirty: percentile(
      pairs.map(({ baseline }) => baseline.privateDirty),
      50,
    ),
  };
  const slope = spread(growths.rss).median * percentile(series.map(({ rss }) => rss).slice(-SAMPLES / 2), 50);
  return {
    rows: [
      ...rows('memory-load', figure, pairs, 1.7),
      growth('rss', 'RSS'),
      growth('privateDirty', 'private dirty'),
    ],
    details: { memory: { bare, series } },
    notes: [
      `memory after load: ${KEYS} credentials, ten calls for each rotation, one watcher; read ${REST_AFTER_LOAD_MS / 1000} s after the load. Flat means that the line through the last half rises by at most 5 %; RSS went ${slope >= 0 ? 'up' : 'down'} by ${Math.abs((slope / (requests / 2)) * 100_000).toFixed(2)} MiB for 100,000 requests.`,
    ],
  };
}
