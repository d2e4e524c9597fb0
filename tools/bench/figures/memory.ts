/** Memory: at rest, and after a load that a sidecar sees in a long life. Against Node that does nothing. */
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { freePort } from '../../../test/support/free-port.ts';
import { RawClient, SERVICE } from '../../../test/support/raw-calls.ts';
import { BARS } from '../bars.ts';
import { Cgroup } from '../cgroup.ts';
import { BareNode, Child } from '../child.ts';
import { type FigureResult, type MemoryPoint, pause, type Scale } from '../figure.ts';
import { floorRatio, reduce } from '../interleave.ts';
import { Kubelet } from '../kubelet.ts';
import { type Memory, memoryOf, requireRoot } from '../proc.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { compare, growthOfLastHalf, percentile, type Round, spread } from '../stats.ts';
import { Subscriber } from '../subscriber.ts';
import { type Bar, comparisonRow, missingRow, type Row } from '../verdict.ts';
import { waitForCalls } from '../wait-for-calls.ts';
import { Writer } from '../writer.ts';

const KEYS = 20;
/** In a response, about. */
const BYTES_OF_A_CREDENTIAL = 190;
/** One takes a quarter of an hour: the resolver allows a UID 250 calls a second. */
const ROUNDS_OF_LOAD = 1;
/** Samples of the memory over a load. */
const SAMPLES = 100;
/** Milliseconds that the resolver is left alone after a load, before its memory counts as "after". */
const REST_AFTER_LOAD_MS = 7_000;

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

const BARE = { unit: 'MiB', baseline: 'bare Node at rest' } as const;

/** The bar on RSS is on the ratio to bare Node; private dirty memory is what a pod costs, in MiB. */
function rows(id: string, figure: string, sides: readonly Sides[], bars: Record<keyof Memory, Bar>): Row[] {
  return (['rss', 'privateDirty'] as const).map((field) => {
    const name = field === 'rss' ? 'RSS' : 'private dirty';
    const of = (memory: Memory) => memory[field];
    return {
      ...comparisonRow(
        {
          ...BARE,
          bar: bars[field],
          id: `${id}-${name.replaceAll(' ', '-').toLowerCase()}`,
          figure: `${name} ${figure}`,
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

/** A cgroup to start one process in, or why there can be none. */
function cgroup(opened: AsyncDisposableStack): Cgroup | Error {
  try {
    return opened.use(new Cgroup());
  } catch (error) {
    return error as Error;
  }
}

export async function memoryAtRest(scale: Scale): Promise<FigureResult> {
  requireRoot();
  const restMs = scale.pick(60_000, 7_000);
  const sides: Sides[] = [];
  const billed: Round[] = [];
  let refusal = '';
  for (let round = 0; round < scale.pick(3, 2); round++) {
    await using opened = new AsyncDisposableStack();
    const groups = { ours: cgroup(opened), baseline: cgroup(opened) };
    const inGroup = (group: Cgroup | Error) => (group instanceof Error ? undefined : group);
    const healthPort = await freePort();
    await using ours = await ResolverProcess.serving(KEYS, { healthPort, cgroup: inGroup(groups.ours) });
    await using bare = new BareNode(inGroup(groups.baseline));
    await using empty = await emptyServer();
    using _kubelet = await Kubelet.probing(healthPort);
    await pause(restMs);
    sides.push(memoryOfAll(ours, bare, empty.server));
    if (groups.ours instanceof Error) refusal = groups.ours.message;
    else if (groups.baseline instanceof Cgroup)
      billed.push({ ours: groups.ours.current, baseline: groups.baseline.current });
  }
  const row = {
    id: 'memory-rest-cgroup',
    figure: 'memory.current of its cgroup at rest',
    bar: BARS['memory-rest-cgroup'],
  };
  return {
    rows: [
      ...rows('memory-rest', 'at rest', sides, {
        rss: BARS['memory-rest-rss'],
        privateDirty: BARS['memory-rest-private-dirty'],
      }),
      billed.length === 0
        ? missingRow({ ...row, unit: 'MiB' }, refusal)
        : comparisonRow({ ...BARE, ...row }, compare(billed)),
    ],
    notes: [
      `memory at rest: ${KEYS} credentials, ${restMs / 1000} s after SERVING, probed by kubelet, from /proc/PID/smaps_rollup. memory.current is memory.usage_in_bytes where cgroups are of version 1, and has what the process was first to touch: node's own file is on the bill of another, as on a node that has run the image before.`,
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

function peak(group: Cgroup | Error): Row {
  const row = {
    id: 'memory-load-cgroup-peak',
    figure: 'memory.peak of its cgroup over that load',
    unit: 'MiB',
  } as const;
  if (group instanceof Error) return missingRow(row, group.message);
  return {
    ...row,
    ours: group.peak,
    baseline: { name: 'its memory.current after it', value: group.current },
    rounds: 1,
  };
}

export async function memoryAfterLoad(scale: Scale): Promise<FigureResult> {
  requireRoot();
  const requests = scale.pick(200_000, 4_000);
  const rotations = requests / 10;
  const sides: Sides[] = [];
  const growths: Record<keyof Memory, number[]> = { rss: [], privateDirty: [] };
  let series: MemoryPoint[] = [];
  let bill: Row[] = [];
  for (let round = 0; round < ROUNDS_OF_LOAD; round++) {
    await using opened = new AsyncDisposableStack();
    const group = cgroup(opened);
    await using resolver = await ResolverProcess.serving(
      KEYS,
      group instanceof Error ? {} : { cgroup: group },
    );
    await using bare = new BareNode();
    await using empty = await emptyServer();
    series = [];
    await load(resolver, requests, rotations, (served) =>
      series.push({ requests: served, ...memoryOf(resolver.pid) }),
    );
    await loadEmpty(empty.socket, requests);
    await pause(REST_AFTER_LOAD_MS);
    sides.push(memoryOfAll(resolver, bare, empty.server));
    bill = [peak(group)];
    for (const field of ['rss', 'privateDirty'] as const)
      growths[field].push(growthOfLastHalf(series.map((point) => point[field])));
  }
  const figure = `after ${requests.toLocaleString('en')} requests, ${rotations.toLocaleString('en')} rotations`;
  const growth = (field: keyof Memory, name: string): Row => ({
    id: `memory-load-growth-${name.replaceAll(' ', '-').toLowerCase()}`,
    figure: `growth of ${name} over the last half of that load`,
    unit: '%',
    ours: percentile(growths[field], 50) * 100,
    baseline: { name: 'flat', value: 0 },
    rounds: growths[field].length,
    bar: BARS['memory-load-growth-private-dirty'],
  });
  const bare = {
    rss: compare(reduce(sides, ({ rss }) => rss)).baseline,
    privateDirty: compare(reduce(sides, ({ privateDirty }) => privateDirty)).baseline,
  };
  const slope = spread(growths.rss).median * percentile(series.map(({ rss }) => rss).slice(-SAMPLES / 2), 50);
  return {
    rows: [
      ...rows('memory-load', figure, sides, {
        rss: { on: 'ratio', atMost: 1.7 },
        privateDirty: BARS['memory-load-private-dirty'],
      }),
      growth('rss', 'RSS'),
      growth('privateDirty', 'private dirty'),
      ...bill,
    ],
    details: { memory: { bare, series, after: sides.at(-1)!.ours } },
    notes: [
      `memory after load: ${KEYS} credentials, ten calls for each rotation, one watcher; read ${REST_AFTER_LOAD_MS / 1000} s after the load. Flat means that the line through the last half rises by at most 5 %; RSS went ${slope >= 0 ? 'up' : 'down'} by ${Math.abs((slope / (requests / 2)) * 100_000).toFixed(2)} MiB for 100,000 requests.`,
    ],
  };
}
