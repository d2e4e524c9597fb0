/**
 * What the resolver counts for Prometheus. Names of Secrets, reasons and numbers: never a value, a placeholder, a
 * revision or a fingerprint. There is no registry for the process as a whole: one object counts for one `serve`.
 */
import type { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { secretId } from '../config/config.ts';
import type { StatusFacts } from '../consumers/native/status.ts';
import type { CredentialRefusal } from '../snapshot/refusal.ts';

/** Upper bounds of lags, in seconds: from a rotation on an idle node to a supervisor that hangs. */
const LAG_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Every metric. deploy/README.md has the same table for people, and a test compares the two. */
export const METRICS = {
  boundary: {
    name: 'secret_resolver_boundary_proven',
    type: 'gauge',
    labels: [],
    help: '1 where every enforced check of the isolation boundary holds; 0 where one fails or was relaxed.',
  },
  watchers: {
    name: 'secret_resolver_watchers',
    type: 'gauge',
    labels: [],
    help: 'Watches that supervisors hold open.',
  },
  refused: {
    name: 'secret_resolver_refused_credentials',
    type: 'gauge',
    labels: ['reason'],
    help: 'Credentials that are configured and not served, by reason.',
  },
  age: {
    name: 'secret_resolver_generation_age_seconds',
    type: 'gauge',
    labels: ['secret'],
    help: 'Time since the content of a mounted Secret was first read; none where it cannot be read.',
  },
  rotations: {
    name: 'secret_resolver_rotations_total',
    type: 'counter',
    labels: [],
    help: 'Generations that changed what is served.',
  },
  rejectedPeers: {
    name: 'secret_resolver_rejected_peers_total',
    type: 'counter',
    labels: [],
    help: 'Connections closed at accept, before any HTTP/2.',
  },
  serve: {
    name: 'secret_resolver_serve_seconds',
    type: 'histogram',
    labels: [],
    help: 'Time from the read of a new generation until it is handed to an open watch.',
  },
  acknowledge: {
    name: 'secret_resolver_acknowledge_seconds',
    type: 'histogram',
    labels: ['outcome'],
    help: 'Time from handing a snapshot to a watch until its acknowledgement, by outcome (applied, rejected).',
  },
} as const;

const OUTCOMES = ['applied', 'rejected'] as const;
export type AcknowledgedOutcome = (typeof OUTCOMES)[number];

/** What is counted as it happens. One function an event. */
export interface Meter {
  /** A new generation changed what is served. */
  readonly rotated: () => void;
  /** A watch that was open already was handed a new snapshot, so many milliseconds after the read that caused it. */
  readonly served: (lagMs: number) => void;
  /** A watcher told what became of a snapshot, so many milliseconds after it was handed over. */
  readonly acknowledged: (outcome: AcknowledgedOutcome, lagMs: number) => void;
  /** A connection was closed at accept. */
  readonly peerRejected: () => void;
}

/** Counts nothing: where `metrics.listen` is not set. */
export const NO_METER: Meter = {
  rotated: () => {},
  served: () => {},
  acknowledged: () => {},
  peerRejected: () => {},
};

/** What is looked at when somebody asks. */
export interface MetricFacts extends Pick<StatusFacts, 'boundary' | 'volumes'> {
  readonly watchers: number;
  readonly refusals: readonly CredentialRefusal[];
}

export class Metrics implements Meter {
  readonly #registry: Registry;
  readonly #facts: () => MetricFacts;
  readonly #boundary: Gauge;
  readonly #watchers: Gauge;
  readonly #refused: Gauge;
  readonly #age: Gauge;
  readonly #rotations: Counter;
  readonly #rejectedPeers: Counter;
  readonly #serve: Histogram;
  readonly #acknowledge: Histogram;

  private constructor(prometheus: typeof import('prom-client'), facts: () => MetricFacts) {
    this.#facts = facts;
    this.#registry = new prometheus.Registry();
    const registers = [this.#registry];
    const configuration = ({ name, help, labels }: (typeof METRICS)[keyof typeof METRICS]) => ({
      name,
      help,
      labelNames: [...labels],
      registers,
    });
    const lags = { buckets: LAG_BUCKETS };
    this.#boundary = new prometheus.Gauge(configuration(METRICS.boundary));
    this.#watchers = new prometheus.Gauge(configuration(METRICS.watchers));
    this.#refused = new prometheus.Gauge(configuration(METRICS.refused));
    this.#age = new prometheus.Gauge(configuration(METRICS.age));
    this.#rotations = new prometheus.Counter(configuration(METRICS.rotations));
    this.#rejectedPeers = new prometheus.Counter(configuration(METRICS.rejectedPeers));
    this.#serve = new prometheus.Histogram({ ...configuration(METRICS.serve), ...lags });
    this.#acknowledge = new prometheus.Histogram({ ...configuration(METRICS.acknowledge), ...lags });
    // A series that first shows up with its first event hides that event from rate() and increase().
    for (const outcome of OUTCOMES) this.#acknowledge.zero({ outcome });
  }

  /** Loads the library, which a resolver without metrics never does. */
  static async create(facts: () => MetricFacts): Promise<Metrics> {
    return new Metrics(await import('prom-client'), facts);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  rotated = (): void => this.#rotations.inc();

  served = (lagMs: number): void => this.#serve.observe(lagMs / 1_000);

  acknowledged = (outcome: AcknowledgedOutcome, lagMs: number): void =>
    this.#acknowledge.observe({ outcome }, lagMs / 1_000);

  peerRejected = (): void => this.#rejectedPeers.inc();

  /** Everything in Prometheus' text format, as of `now` in Unix milliseconds. */
  async text(now: number): Promise<string> {
    const { boundary, volumes, watchers, refusals } = this.#facts();
    this.#boundary.set(boundary?.verdict === 'proven' ? 1 : 0);
    this.#watchers.set(watchers);
    // Reasons and Secrets that are no more must not go on being reported.
    this.#refused.reset();
    for (const { reason } of refusals) this.#refused.inc({ reason });
    this.#age.reset();
    for (const { secret, read, readAtMs } of volumes) {
      if (read.kind === 'generation') {
        this.#age.set({ secret: secretId(secret) }, Math.max(0, now - readAtMs) / 1_000);
      }
    }
    return this.#registry.metrics();
  }
}
