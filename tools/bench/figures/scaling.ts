/** How the cost of a rotation grows with the credentials. */
import { median } from 'simple-statistics';
import { BARS } from '../bars.ts';
import type { FigureResult, Scale } from '../figure.ts';
import { InotifyLoop } from '../inotify-loop.ts';
import { interleave } from '../interleave.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { exponent, type Round } from '../stats.ts';
import { Subscriber } from '../subscriber.ts';
import { Writer } from '../writer.ts';
import { Rotations } from './rotation.ts';

const SIZES = [10, 100, 1_000, 10_000];
/** The writer alone takes a second for ten thousand files. */
const QUICK_SIZES = SIZES.slice(0, 3);

export async function scaling(scale: Scale): Promise<FigureResult> {
  await using writer = await Writer.start();
  await using opened = new AsyncDisposableStack();
  const sides: { size: number; ours: Rotations; baseline: Rotations; rounds: Round[] }[] = [];
  const sizes = scale.quick ? QUICK_SIZES : SIZES;
  for (const size of sizes) {
    const resolver = opened.use(await ResolverProcess.serving(size));
    const beside = opened.use(ResolverProcess.prepare(size));
    const loop = opened.use(await InotifyLoop.on(beside));
    const subscriber = opened.use(await Subscriber.to(resolver));
    const ours = new Rotations(writer, resolver, [subscriber]);
    const baseline = new Rotations(writer, beside, [loop]);
    for (let warmUp = 0; warmUp < scale.pick(5, 1); warmUp++) {
      await ours.one();
      await baseline.one();
    }
    sides.push({ size, ours, baseline, rounds: [] });
  }
  for (let round = 0; round < scale.pick(15, 3); round++) {
    for (const { ours, baseline, rounds } of sides) {
      const turn = await interleave(1, { ours: () => ours.one(), baseline: () => baseline.one() }, round);
      rounds.push(...turn);
    }
  }
  const points = sides.map(({ size, rounds }) => ({
    size,
    ours: median(rounds.map(({ ours }) => ours)),
    baseline: median(rounds.map(({ baseline }) => baseline)),
  }));
  const slope = (side: 'ours' | 'baseline', from = 0) =>
    exponent(points.slice(from).map((point) => ({ size: point.size, cost: point[side] })));
  const most = sizes.at(-1)?.toLocaleString('en');
  return {
    rows: [
      {
        id: 'scaling',
        figure: `rotation cost from 10 to ${most} credentials`,
        unit: 'exponent',
        ours: slope('ours'),
        baseline: { name: 'bare inotify loop', value: slope('baseline') },
        rounds: sides[0]?.rounds.length ?? 0,
        bar: BARS.scaling,
      },
      {
        id: 'scaling-last-decade',
        figure: `rotation cost over the last decade, to ${most} credentials`,
        unit: 'exponent',
        ours: slope('ours', sizes.length - 2),
        baseline: { name: 'bare inotify loop', value: slope('baseline', sizes.length - 2) },
        rounds: sides[0]?.rounds.length ?? 0,
        bar: BARS['scaling-last-decade'],
      },
    ],
    details: { scaling: points },
    notes: [
      `rotation cost: rename to snapshot at the subscriber, median of ${sides[0]?.rounds.length ?? 0} rotations a size, least squares on logarithms; the fixed cost of a rotation flattens the fit at the small end, so the last decade is shown by itself.`,
    ],
  };
}
