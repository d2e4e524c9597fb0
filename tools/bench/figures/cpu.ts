/** CPU usage of the resolver while kubelet alone asks it something. */
import { freePort } from '../../../test/support/free-port.ts';
import { BARS } from '../bars.ts';
import { BareNode } from '../child.ts';
import { type FigureResult, pause, type Scale } from '../figure.ts';
import { Kubelet } from '../kubelet.ts';
import { cpuNs, requireRoot } from '../proc.ts';
import { ResolverProcess } from '../resolver-process.ts';
import { percentile } from '../stats.ts';

const KEYS = 20;

export async function cpuAtRest(scale: Scale): Promise<FigureResult> {
  requireRoot();
  const windowMs = scale.pick(30_000, 2_000);
  const windows = scale.pick(3, 1);
  const healthPort = await freePort();
  await using resolver = await ResolverProcess.serving(KEYS, { healthPort });
  using _kubelet = await Kubelet.probing(healthPort);
  await using bare = new BareNode();
  // The start itself is over, and the compiler's threads have gone to sleep.
  await pause(scale.pick(60_000, 500));
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
        figure: `CPU at rest with kubelet's three probes, over ${(windows * windowMs) / 1000} s`,
        unit: '% of a core',
        ours: mean(shares.ours) * 100,
        baseline: { name: 'bare Node at rest', value: mean(shares.baseline) * 100 },
        rounds: windows,
        bar: BARS['cpu-rest'],
      },
    ],
    notes: [
      `CPU at rest: ${KEYS} credentials, no caller, all threads; /readyz every 5 s and /livez every 10 s as in the manifest, and the startup probe before; ${windows} windows of ${windowMs / 1000} s, the busiest ${(percentile(shares.ours, 100) * 100).toFixed(3)} %.`,
    ],
  };
}
