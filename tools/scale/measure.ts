/** The resolvers of one node at once, a rotation each, and what the kernel bills them for. */
import { pause } from '../bench/figure.ts';
import { cpuNs, memoryOf, requireRoot } from '../bench/proc.ts';
import { ResolverProcess } from '../bench/resolver-process.ts';
import { Subscriber } from '../bench/subscriber.ts';
import { Writer } from '../bench/writer.ts';

const KEYS = 20;
/** Boundary rounds have filled the young generation by then (docs/decisions/0003-code-cache.md). */
const SETTLE_MS = 60_000;
const WINDOW_MS = 60_000;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function report(label: string, resolvers: readonly ResolverProcess[]): void {
  const bills = resolvers.map(({ pid }) => memoryOf(pid));
  const figures = (['privateDirty', 'pss', 'rss'] as const).map((field) => {
    const total = sum(bills.map((bill) => bill[field]));
    return `${field} ${total.toFixed(0)} MiB (${(total / bills.length).toFixed(1)} each)`;
  });
  console.log(`${label}: ${figures.join(', ')}`);
}

function cpuMs(resolvers: readonly ResolverProcess[]): number {
  return sum(resolvers.map(({ pid }) => cpuNs(pid))) / 1e6;
}

/** Starts `count` resolvers one after the other, each with a supervisor's watch, and rotates each of their Secrets once. */
export async function measure(count = 20, keys = KEYS): Promise<void> {
  requireRoot();
  await using stack = new AsyncDisposableStack();
  const resolvers: ResolverProcess[] = [];
  for (let index = 0; index < count; index++) resolvers.push(stack.use(await ResolverProcess.serving(keys)));
  console.log(
    `${count} resolvers of ${keys} credentials serve; CPU of the starts ${cpuMs(resolvers).toFixed(0)} ms`,
  );
  const subscribers: Subscriber[] = [];
  for (const resolver of resolvers) subscribers.push(stack.use(await Subscriber.to(resolver)));
  await pause(SETTLE_MS);
  report('at rest', resolvers);

  const idleFrom = cpuMs(resolvers);
  await pause(WINDOW_MS);
  const idle = cpuMs(resolvers) - idleFrom;
  console.log(`CPU at rest: ${((idle / WINDOW_MS / count) * 100).toFixed(3)} % of a core each`);

  const writer = stack.use(await Writer.start());
  const from = cpuMs(resolvers);
  const started = performance.now();
  const latencies: number[] = [];
  for (const [index, resolver] of resolvers.entries()) {
    const at = await writer.rotate(resolver, 1);
    latencies.push(Number(((await subscribers[index]?.has(1)) ?? at) - at) / 1e6);
  }
  const rotating = cpuMs(resolvers) - from - (idle / WINDOW_MS) * (performance.now() - started);
  latencies.sort((a, b) => a - b);
  console.log(
    `a rotation each: CPU ${(rotating / count).toFixed(1)} ms each; rename to supervisor median ${latencies[count >> 1]?.toFixed(1)} ms, longest ${latencies.at(-1)?.toFixed(1)} ms`,
  );
  await pause(15_000);
  report('after a rotation each', resolvers);
}
