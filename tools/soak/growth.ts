/** Whether one life of the process grows. Pure. */
import { DEFAULT_LIMITS } from '../../src/domain/limits.ts';

/** What callers and peers hold open at one moment. */
export interface Held {
  /** Of callers and peers. */
  readonly connections: number;
  /** Of the peers, who come and go. */
  readonly watches: number;
}

/** A sample of the process at one moment. */
export interface Sample {
  readonly at: number;
  readonly rssMiB: number;
  /** Open descriptors; undefined where only root may count them, or nobody knows how many of them others hold. */
  readonly descriptors: number | undefined;
  /** Open watches that GetStatus shows. */
  readonly watchers: number | undefined;
  /** Undefined while a program attacks: it dials faster than its connections can be counted. */
  readonly held: Held | undefined;
}

/** Shortest life in milliseconds for which growth can be distinguished from warm-up. */
export const SHORTEST_LIFE_MS = 30_000;
/** Memory limit of the sidecar in MiB, which it must never reach. */
export const MAX_RSS_MIB = 256;
/** Descriptors of a connection: the socket, and the pidfd of who connected. */
const DESCRIPTORS_EACH = 2;
/** Descriptors that it may have at most: what supervisor, neighbour and agent may hold of connections, and its own. */
export const MAX_DESCRIPTORS =
  3 * DESCRIPTORS_EACH * (DEFAULT_LIMITS.connectionsPerUid + DEFAULT_LIMITS.excessConnectionsPerUid) + 32;
/** Growth of the median between the second third of a life and the last that is a leak, and none of the collector's moods. */
const RSS_RATIO = 1.25;
const RSS_SLACK_MIB = 12;
/** Descriptors and watchers that come and go: a folder that is read, a caller that is listed again. */
const COUNT_SLACK = 4;

/**
 * What the process has open beyond what the other side holds, which may be much and for longer than a third of a life.
 * The two are looked at one after the other, and a connection may wait for its accept or its end: so the median counts.
 */
const UNHELD: Readonly<Record<'descriptors' | 'watchers', (sample: Sample) => number | undefined>> = {
  descriptors: ({ descriptors, held }) =>
    descriptors === undefined || held === undefined
      ? undefined
      : descriptors - DESCRIPTORS_EACH * held.connections,
  watchers: ({ watchers, held }) =>
    watchers === undefined || held === undefined ? undefined : watchers - held.watches,
};

/** The value that a share of the list does not exceed; NaN for an empty list. */
export function quantile(list: readonly number[], share: number): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** Describes what grew in one life; empty if nothing did. The first third is the warm-up. */
export function growth(samples: readonly Sample[]): string[] {
  const first = samples.at(0);
  const last = samples.at(-1);
  if (first === undefined || last === undefined) return [];
  const found: string[] = [];
  const peak = Math.max(...samples.map(({ rssMiB }) => rssMiB));
  if (peak > MAX_RSS_MIB) found.push(`${peak.toFixed(0)} MiB resident, of ${MAX_RSS_MIB}`);
  const most = Math.max(...samples.map(({ descriptors }) => descriptors ?? 0));
  if (most > MAX_DESCRIPTORS) found.push(`${most} descriptors, of ${MAX_DESCRIPTORS}`);
  const span = last.at - first.at;
  if (span < SHORTEST_LIFE_MS) return found;
  const third = (index: number) =>
    samples.filter(
      ({ at }) => at >= first.at + (span * index) / 3 && at <= first.at + (span * (index + 1)) / 3,
    );
  const [middle, end] = [third(1), third(2)];
  const median = (list: readonly Sample[], figure: (sample: Sample) => number | undefined) =>
    quantile(
      list.flatMap((sample) => figure(sample) ?? []),
      0.5,
    );
  const [before, after] = [median(middle, rss), median(end, rss)];
  if (after > before * RSS_RATIO && after > before + RSS_SLACK_MIB)
    found.push(`resident memory grew from ${before.toFixed(0)} to ${after.toFixed(0)} MiB`);
  for (const [what, figure] of Object.entries(UNHELD)) {
    const [had, has] = [median(middle, figure), median(end, figure)];
    if (has > had + COUNT_SLACK) found.push(`${what} that nobody holds grew from ${had} to ${has}`);
  }
  return found;
}

function rss({ rssMiB }: Sample): number {
  return rssMiB;
}
