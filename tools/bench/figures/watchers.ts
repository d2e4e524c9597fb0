/** How long the last of a thousand watchers waits for a rotation, against one watcher alone. */
import { RawClient } from '../../../test/support/raw-calls.ts';
import type { FigureResult, Scale } from '../figure.ts';
import { interleave } from '../interleave.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { compare } from '../stats.ts';
import { Subscriber } from '../subscriber.ts';
import { comparisonRow } from '../verdict.ts';
import { Writer } from '../writer.ts';
import { Rotations } from './rotation.ts';

const KEYS = 20;
const WATCHERS = 1_000;
/** Within the limits that the resolver has: 32 streams on a connection, 64 connections and 1,000 watches of a UID. */
const CONNECTIONS = 40;

export async function watchers(scale: Scale): Promise<FigureResult> {
  await using writer = await Writer.start();
  await using crowded = await ResolverProcess.serving(KEYS);
  await using alone = await ResolverProcess.serving(KEYS);
  using opened = new DisposableStack();
  const clients = Array.from({ length: CONNECTIONS }, () => opened.use(new RawClient(crowded.socket)));
  const crowd: Subscriber[] = [];
  while (crowd.length < WATCHERS) {
    // One of each connection at a time: a thousand handshakes at once are not what is measured.
    const next = await Promise.all(clients.map((client) => Subscriber.to(crowded, client)));
    for (const subscriber of next) crowd.push(opened.use(subscriber));
  }
  const many = new Rotations(writer, crowded, crowd);
  const one = new Rotations(writer, alone, [opened.use(await Subscriber.to(alone))]);
  await many.many(scale.pick(20, 3));
  await one.many(scale.pick(20, 3));
  const rounds = await interleave(scale.pick(60, 8), { ours: () => many.one(), baseline: () => one.one() });
  return {
    rows: [
      comparisonRow(
        {
          id: 'watchers',
          figure: `rotation with ${WATCHERS.toLocaleString('en')} watchers, last one served`,
          unit: 'ms',
          baseline: 'one watcher alone',
          bar: { on: 'ratio', atMost: 40 },
        },
        compare(rounds),
      ),
    ],
    notes: [
      `watchers: ${WATCHERS} streams on ${CONNECTIONS} connections of one client process, ${KEYS} credentials; the client's own work on ${WATCHERS} messages is in the figure.`,
    ],
  };
}
