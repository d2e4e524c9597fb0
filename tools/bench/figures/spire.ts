/** The same figures on SPIRE's agent, which hands out credentials over a Unix socket too. */
import { RawClient } from '../../../test/support/raw-calls.ts';
import { BARS } from '../bars.ts';
import { type FigureResult, pause, type Scale } from '../figure.ts';
import { interleave, reduce } from '../interleave.ts';
import { type Memory, memoryOf, requireRoot } from '../proc.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { SpireAgent } from '../spire-agent.ts';
import { compare, percentile, type Round } from '../stats.ts';
import { comparisonRow, missingRow, type Row } from '../verdict.ts';
import { GET, timeCalls } from './unary.ts';

const KEYS = 20;
const UNARY = {
  id: 'spire-unary',
  figure: `unary call, ${KEYS} credentials, p50, against FetchX509SVID`,
  unit: 'µs',
  bar: BARS['spire-unary'],
} as const;
const RESIDENT = {
  id: 'spire-rss',
  figure: "RSS at rest, against SPIRE's agent",
  unit: 'MiB',
  bar: BARS['spire-rss'],
} as const;

export async function spire(scale: Scale): Promise<FigureResult> {
  if (scale.peers.spire === undefined)
    return { rows: [RESIDENT, UNARY].map((row) => missingRow(row, 'give --spire-agent and --spire-server')) };
  requireRoot();
  await using resolver = await ResolverProcess.serving(KEYS);
  await using agent = await SpireAgent.serving(scale.peers.spire);
  await pause(scale.pick(60_000, 1_500));
  const memory = () => ({ ours: memoryOf(resolver.pid), baseline: memoryOf(agent.pid) });
  const atRest = memory();
  using client = new RawClient(resolver.socket);
  const warmUp = scale.pick(3_000, 300);
  await timeCalls(client, GET, warmUp);
  await agent.time(warmUp);
  const block = scale.pick(500, 100);
  const rounds = await interleave(scale.pick(30, 4), {
    ours: () => timeCalls(client, GET, block),
    baseline: () => agent.time(block),
  });
  // At 250 a second, which the resolver allows a UID.
  const requests = scale.pick(20_000, 2_000);
  await timeCalls(client, GET, requests);
  await agent.time(requests);
  await pause(2_000);
  const after = memory();
  const row = (about: Omit<Row, 'ours' | 'baseline' | 'ratio' | 'rounds'>, sides: readonly Round[]): Row =>
    comparisonRow({ ...about, baseline: "SPIRE's agent" }, compare(sides));
  const memoryRow = (id: string, figure: string, sides: typeof atRest, field: keyof Memory): Row =>
    row(
      { id, figure, unit: 'MiB' },
      reduce([sides], (side) => side[field]),
    );
  const load = `after ${requests.toLocaleString('en')} calls, against SPIRE's agent`;
  return {
    rows: [
      row(
        RESIDENT,
        reduce([atRest], ({ rss }) => rss),
      ),
      row(
        UNARY,
        reduce(rounds, (samples) => percentile(samples, 50)),
      ),
      memoryRow(
        'spire-private-dirty',
        "private dirty at rest, against SPIRE's agent",
        atRest,
        'privateDirty',
      ),
      memoryRow('spire-load-private-dirty', `private dirty ${load}`, after, 'privateDirty'),
      memoryRow('spire-load-rss', `RSS ${load}`, after, 'rss'),
    ],
    notes: [
      `SPIRE's agent: attested by a join token to a server of its own, one entry by unix:uid; a call opens FetchX509SVID, takes the first answer and cancels; ${rounds.length} rounds of ${block} calls a side. Calls alone, no rotations.`,
    ],
  };
}
