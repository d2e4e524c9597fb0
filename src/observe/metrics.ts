/**
 * What the resolver counts for Prometheus. Names of Secrets, reasons and numbers: never a value, a placeholder, a
 * revision or a fingerprint. There is no registry for the process as a whole: one object counts for one `serve`.
 */
import { secretId } from '../config/config.ts';
import { VERSION } from '../domain/version.ts';
import type { CredentialRefusal } from '../snapshot/refusal.ts';
import type { VolumeState } from '../sources/volume.ts';
import { referenceText } from './audit/record.ts';
import type { WriterState } from './line-writer.ts';

/** Upper bounds of lags, in seconds: from a rotation on an idle node to a supervisor that hangs. */
export const LAG_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

const metric =
  (type: Metric['type']) =>
  (name: string, help: string, labels: readonly string[] = []): Metric => ({ name, type, help, labels });
const gauge = metric('gauge');
const counter = metric('counter');
const histogram = metric('histogram');

/** Every metric. docs/reference/metrics.md is generated from it. */
export const METRICS = {
  boundary: gauge(
    'secret_resolver_boundary_proven',
    '1 if every enforced check of the isolation boundary passes, exceptions aside; 0 if one fails or was relaxed.',
  ),
  exceptions: gauge(
    'secret_resolver_boundary_exceptions',
    'Waived checks that fail, and checks that pass because a process is trusted.',
  ),
  watchers: gauge('secret_resolver_watchers', 'Watches that supervisors hold open.'),
  refused: gauge(
    'secret_resolver_refused_credentials',
    'Credentials that are configured and not served, by reason; required ones withhold their provider.',
    ['reason', 'required'],
  ),
  notServing: gauge(
    'secret_resolver_not_serving',
    '1 for each cause of not serving, the first 20 of them; no series while serving.',
    ['reason', 'provider', 'key', 'reference'],
  ),
  unacknowledged: gauge(
    'secret_resolver_unacknowledged_seconds',
    'Time since the oldest revision that a watcher has not acknowledged was sent; 0 if there is none.',
  ),
  age: gauge(
    'secret_resolver_generation_age_seconds',
    'Time since the content of a mounted Secret was first read, which a restart or reload resets; none where it cannot be read.',
    ['secret'],
  ),
  rotations: counter('secret_resolver_rotations_total', 'Generations that changed what is served.'),
  rejectedPeers: counter(
    'secret_resolver_rejected_peers_total',
    'Connections closed at accept, before any HTTP/2.',
  ),
  serve: histogram(
    'secret_resolver_serve_seconds',
    'Time from the read of a new generation until it is handed to an open watch.',
  ),
  acknowledge: histogram(
    'secret_resolver_acknowledge_seconds',
    'Time from handing a snapshot to a watch until its acknowledgement, by outcome (applied, rejected).',
    ['outcome'],
  ),
  auditFailing: gauge(
    'secret_resolver_audit_failing',
    '1 if the last write of audit records failed, else 0.',
  ),
  auditDropped: counter(
    'secret_resolver_audit_dropped_total',
    'Audit records dropped because the stream took no more.',
  ),
  build: gauge('secret_resolver_build_info', 'Always 1; the version of the resolver.', ['version']),
};

const OUTCOMES = ['applied', 'rejected'] as const;
export type AcknowledgedOutcome = (typeof OUTCOMES)[number];

/** What is counted as it happens. One function an event. */
export type Meter = Pick<Metrics, 'rotated' | 'served' | 'acknowledged' | 'peerRejected'>;

export interface MetricFacts {
  readonly boundary: { readonly verdict: string; readonly exceptions: readonly string[] } | undefined;
  readonly volumes: readonly VolumeState[];
  readonly watches: readonly { readonly unacknowledgedMs: number }[];
  readonly refusals: readonly CredentialRefusal[];
  readonly notServing: readonly {
    readonly reason: string;
    readonly credential?: Pick<CredentialRefusal, 'provider' | 'key' | 'reference'>;
  }[];
  readonly audit: WriterState;
}

/** Milliseconds that a rendered text is served again: scrapes of whatever rate cost one rendering a second. */
const FRESH_MS = 1_000;

class Histogram {
  readonly #buckets = LAG_BUCKETS.map((bound) => ({ bound, count: 0 }));
  #count = 0;
  #sum = 0;

  observe(seconds: number): void {
    for (const bucket of this.#buckets) if (seconds <= bucket.bound) bucket.count += 1;
    this.#count += 1;
    this.#sum += seconds;
  }

  lines(name: string, label = ''): string[] {
    const own = label === '' ? '' : `{${label}}`;
    const bucket = (bound: number | string, count: number) =>
      `${name}_bucket{${label === '' ? '' : `${label},`}le="${bound}"} ${count}`;
    return [
      ...this.#buckets.map(({ bound, count }) => bucket(bound, count)),
      bucket('+Inf', this.#count),
      `${name}_sum${own} ${this.#sum}`,
      `${name}_count${own} ${this.#count}`,
    ];
  }
}

export class Metrics {
  readonly #facts: () => MetricFacts;
  #rotations = 0;
  #rejectedPeers = 0;
  readonly #serve = new Histogram();
  // Both from the start: a series that first shows up with its first event hides that event from rate().
  readonly #acknowledge = { applied: new Histogram(), rejected: new Histogram() };
  #rendered: { readonly text: string; readonly at: number } | undefined;

  constructor(facts: () => MetricFacts) {
    this.#facts = facts;
  }

  rotated(): void {
    this.#rotations += 1;
  }

  /** A watch that was open already was handed a new snapshot, this many milliseconds after the read that caused it. */
  served(lagMs: number): void {
    this.#serve.observe(lagMs / 1_000);
  }

  /** A watcher acknowledged a snapshot, this many milliseconds after it was handed over. */
  acknowledged(outcome: AcknowledgedOutcome, lagMs: number): void {
    this.#acknowledge[outcome].observe(lagMs / 1_000);
  }

  peerRejected(): void {
    this.#rejectedPeers += 1;
  }

  /** Everything in Prometheus' text format, as of `now` in Unix milliseconds or at most a second before. */
  text(now: number): string {
    if (this.#rendered === undefined || Math.abs(now - this.#rendered.at) >= FRESH_MS)
      this.#rendered = { text: this.#render(now), at: now };
    return this.#rendered.text;
  }

  #render(now: number): string {
    const { boundary, volumes, watches, refusals, notServing, audit } = this.#facts();
    const reasons = Map.groupBy(refusals, ({ reason, required }) => labelled({ reason, required }));
    const samples: Record<keyof typeof METRICS, (name: string) => readonly string[]> = {
      boundary: (name) => [`${name} ${boundary?.verdict === 'proven' ? 1 : 0}`],
      exceptions: (name) => [`${name} ${boundary?.exceptions.length ?? 0}`],
      watchers: (name) => [`${name} ${watches.length}`],
      refused: (name) => [...reasons].map(([labels, { length }]) => `${name}${labels} ${length}`),
      notServing: (name) =>
        notServing.map(({ reason, credential }) => {
          const { provider = '', key = '', reference } = credential ?? {};
          const labels = { reason, provider, key, reference: reference ? referenceText(reference) : '' };
          return `${name}${labelled(labels)} 1`;
        }),
      unacknowledged: (name) => [
        `${name} ${Math.max(0, ...watches.map(({ unacknowledgedMs }) => unacknowledgedMs)) / 1_000}`,
      ],
      age: (name) =>
        volumes
          .filter(({ read }) => read.kind === 'generation')
          .map(
            ({ secret, readAtMs }) =>
              `${name}{secret="${secretId(secret)}"} ${Math.max(0, now - readAtMs) / 1_000}`,
          ),
      rotations: (name) => [`${name} ${this.#rotations}`],
      rejectedPeers: (name) => [`${name} ${this.#rejectedPeers}`],
      serve: (name) => this.#serve.lines(name),
      acknowledge: (name) =>
        OUTCOMES.flatMap((outcome) => this.#acknowledge[outcome].lines(name, `outcome="${outcome}"`)),
      auditFailing: (name) => [`${name} ${audit.error === undefined ? 0 : 1}`],
      auditDropped: (name) => [`${name} ${audit.dropped}`],
      build: (name) => [`${name}${labelled({ version: VERSION })} 1`],
    };
    const lines = (Object.keys(METRICS) as (keyof typeof METRICS)[]).flatMap((key) => {
      const { name, help, type } = METRICS[key];
      return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples[key](name)];
    });
    return `${lines.join('\n')}\n`;
  }
}

/** No label needs escaping: each is a name of Kubernetes or of a provider, or a word of ours. */
function labelled(labels: Readonly<Record<string, string | boolean>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return `{${pairs.join(',')}}`;
}
