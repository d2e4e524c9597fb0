/** Whether one life of the process grows. Pure. */

/** How one process is at a moment. */
export interface Sample {
  readonly at: number;
  readonly rssMiB: number;
  /** Open descriptors; undefined where only root may count them. */
  readonly descriptors: number | undefined;
  /** Open watches that GetStatus shows. */
  readonly watchers: number | undefined;
}

/** Milliseconds of a life below which its growth cannot be told from its warm-up. */
export const SHORTEST_LIFE_MS = 30_000;
/** MiB that the sidecar is given; it must never need them all. */
export const MAX_RSS_MIB = 256;
/** Growth of the median between the second third of a life and the last that is a leak, and none of the collector's moods. */
const RSS_RATIO = 1.25;
const RSS_SLACK_MIB = 12;
/** Descriptors and watchers come and go with the peers; their least in each third is what stays. */
const COUNT_SLACK = 4;

/** The value that a share of the list does not exceed; NaN for an empty list. */
export function quantile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** What grew in one life, in words; empty where nothing did. The first third is the warm-up. */
export function growth(samples: readonly Sample[]): string[] {
  const first = samples.at(0);
  const last = samples.at(-1);
  if (first === undefined || last === undefined) return [];
  const found: string[] = [];
  const peak = Math.max(...samples.map(({ rssMiB }) => rssMiB));
  if (peak > MAX_RSS_MIB) found.push(`${peak.toFixed(0)} MiB resident, of ${MAX_RSS_MIB}`);
  const span = last.at - first.at;
  if (span < SHORTEST_LIFE_MS) return found;
  const third = (index: number) =>
    samples.filter(
      ({ at }) => at >= first.at + (span * index) / 3 && at <= first.at + (span * (index + 1)) / 3,
    );
  const [middle, end] = [third(1), third(2)];
  const rss = (list: readonly Sample[]) =>
    quantile(
      list.map(({ rssMiB }) => rssMiB),
      0.5,
    );
  const [before, after] = [rss(middle), rss(end)];
  if (after > before * RSS_RATIO && after > before + RSS_SLACK_MIB)
    found.push(`resident memory grew from ${before.toFixed(0)} to ${after.toFixed(0)} MiB`);
  for (const what of ['descriptors', 'watchers'] as const) {
    const least = (list: readonly Sample[]) => Math.min(...list.flatMap((sample) => sample[what] ?? []));
    if (least(end) > least(middle) + COUNT_SLACK)
      found.push(`${what} grew from ${least(middle)} to ${least(end)}`);
  }
  return found;
}
