/** Time from the rename of `..data` until a reader has the values: our subscriber, and bare loops. */
import { join } from 'node:path';
import { BARS } from '../bars.ts';
import { Child } from '../child.ts';
import { distribution } from '../distribution.ts';
import { type FigureResult, pause, type Scale } from '../figure.ts';
import { InotifyLoop } from '../inotify-loop.ts';
import { floorRatio, interleave, reduce } from '../interleave.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { compare, percentile } from '../stats.ts';
import { Subscriber } from '../subscriber.ts';
import { comparisonRow, type Row } from '../verdict.ts';
import { type Rotatable, Writer } from '../writer.ts';

const KEYS = 20;
/**
 * Milliseconds between two rotations. The resolver gathers the events around a rename for 20 ms and looks once
 * more; a kubelet rotates a minute later at the earliest, so that must not fall on the next rotation.
 */
const PAUSE_MS = 40;

/** A reader that waits for a rotation. */
export interface Reader {
  readonly has: (rotation: number) => Promise<bigint>;
}

/** Rotates again and again, one at a time; milliseconds of each. */
export class Rotations {
  readonly #writer: Writer;
  readonly #volume: Rotatable;
  readonly #readers: readonly Reader[];
  #rotation = 0;

  constructor(writer: Writer, volume: Rotatable, readers: readonly Reader[]) {
    this.#writer = writer;
    this.#volume = volume;
    this.#readers = readers;
  }

  /** Milliseconds from the rename until the last reader has it. */
  async one(): Promise<number> {
    this.#rotation += 1;
    const arrivals = this.#readers.map((reader) => reader.has(this.#rotation));
    const from = await this.#writer.rotate(this.#volume, this.#rotation);
    const waits = (await Promise.all(arrivals)).map((at) => Number(at - from) / 1e6);
    await pause(PAUSE_MS);
    return Math.max(...waits);
  }

  async many(count: number): Promise<number[]> {
    const times: number[] = [];
    while (times.length < count) times.push(await this.one());
    return times;
  }
}

export async function rotation(scale: Scale): Promise<FigureResult> {
  await using writer = await Writer.start();
  await using resolver = await ResolverProcess.serving(KEYS);
  await using beside = ResolverProcess.prepare(KEYS);
  await using loop = await InotifyLoop.on(beside);
  using subscriber = await Subscriber.to(resolver);
  const ours = new Rotations(writer, resolver, [subscriber]);
  const floor = new Rotations(writer, beside, [loop]);
  await using pushed = ResolverProcess.prepare(KEYS);
  const socket = join(pushed.workspace.root, 'push.sock');
  await using _pusher = await Child.start('push-server.ts', [socket, pushed.directory, String(KEYS)]);
  using pushee = await Subscriber.to({ socket, prefix: pushed.prefix });
  const baseline = new Rotations(writer, pushed, [pushee]);
  for (const side of [ours, baseline, floor]) await side.many(scale.pick(100, 30));
  const block = scale.pick(100, 12);
  const rounds = await interleave(scale.pick(10, 5), {
    ours: () => ours.many(block),
    baseline: () => baseline.many(block),
    floor: () => floor.many(block),
  });
  const common = { unit: 'ms', baseline: 'bare loop pushing over grpc-js' } as const;
  const row = (percent: 50 | 99): Row => {
    const of = (times: readonly number[]) => percentile(times, percent);
    const id = `rotation-p${percent}` as const;
    return {
      ...comparisonRow(
        { ...common, id, figure: `rename of ..data → subscriber, ${KEYS} keys, p${percent}`, bar: BARS[id] },
        compare(reduce(rounds, of)),
      ),
      floor: { name: 'that loop without grpc-js', value: floorRatio(rounds, of) },
    };
  };
  const all = (side: 'ours' | 'baseline') =>
    percentile(
      rounds.flatMap((round) => round[side]),
      99,
    );
  return {
    rows: [
      row(50),
      row(99),
      {
        id: 'rotation-p99-ms',
        figure: `rename of ..data → subscriber, ${KEYS} keys, p99 of all ${rounds.length * block} rotations`,
        unit: 'ms',
        ours: all('ours'),
        baseline: { name: common.baseline, value: all('baseline') },
        rounds: rounds.length,
        bar: { on: 'value', atMost: 15 },
      },
    ],
    details: {
      distributions: [
        distribution(
          {
            name: `rotation, ${KEYS} keys`,
            unit: 'ms',
            baseline: common.baseline,
            p50: BARS['rotation-p50'].atMost,
            p99: BARS['rotation-p99'].atMost,
          },
          rounds,
        ),
      ],
    },
    notes: [
      `rotation: ${rounds.length} rounds of ${block} a side, ${PAUSE_MS} ms apart, on a volume in memory for each; from right before the new \`..data\` link is made and renamed, in the writer's process, to the bytes in the reader's.`,
    ],
  };
}
