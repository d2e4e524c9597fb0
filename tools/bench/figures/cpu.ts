/** CPU usage of the idle resolver. */
import { BareNode } from '../child.ts';
import { type FigureResult, pause, type Scale } from '../figure.ts';
import { cpuNs, requireRoot } from '../proc.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { percentile } from '../stats.ts';

const KEYS = 20;

export async function cpuAtRest(scale: Scale): Promise<FigureResult> {
  requireRoot();
  const windowMs = scale.pick(20_000, 2_000);
  const windows = scale.pick(3, 1);
  await using resolver = await ResolverProcess.serving(KEYS);
  await using bare = new BareNode();
  // The start itself is over, and the compiler's threads have gone to sleep.
  await pause(scale.pick(20_000, 500));
  const shares: Record<'ours' | 'baseline', number[]> = { ours: [], baseline: [] };
  for (let window = 0; window < windows; window++) {
    const from = performance.now();
    const before = { ours: cpuNs(resolver.pid), baseline: cpuNs(bare.pid) };
    await pause(windowMs);
    const wallNs = (performance.now() - from) * 1e6;
    shares.ours.push((cpuNs(resolver.pid) - before.ours) / wallNs);
    shares.baseline.push((cpuNs(bare.pid) - before.baseline) / wallNs);
  }
  const mean = (samples: readonly number[]) =>
    samples.reduce((sum, share) => sum + share, 0) / samples.length;
  return {
    rows: [
      {
        id: 'cpu-rest',
        figure: `CPU at rest over ${(windows * windowMs) / 1000} s`,
        unit: '% of a core',
        ours: mean(shares.ours) * 100,
        baseline: { name: 'bare Node at rest', value: mean(shares.baseline) * 100 },
        rounds: windows,
        // A short window holds one of the checks that come every 10 and 15 s, or none.
        bar: { on: 'value', atMost: 0.2, fullRunOnly: true },
      },
    ],
    notes: [
      `CPU at rest: ${KEYS} credentials, no caller, all threads; ${windows} windows of ${windowMs / 1000} s, the busiest ${(percentile(shares.ours, 100) * 100).toFixed(3)} %.`,
    ],
  };
}
