/**
 * What a fleet costs, and a rotation that travels through it. Pure: the same inputs give the same figures everywhere, and
 * docs/scale.md is generated from them. That page has the source of each input.
 */

export const INPUTS = {
  podsPerNode: 30,
  /** Measured here, MiB: private dirty memory of one resolver; docs/decisions/0003-code-cache.md. */
  resolverMiB: 20.9,
  /** Measured here: share of a core at rest; tools/bench/results/bench.md. */
  idleCores: 0.00198,
  /** Measured here, s: rename of `..data` until the supervisor has it, p99; tools/bench/results/bench.md. */
  resolverSeconds: 0.00319,
  /** Measured here, MiB: one resolver with 600 credentials, those of 30 pods; `main.ts measure 1 600`. */
  nodeAgentMiB: 24.4,
  /** Measured here, MiB: resolver, kit and Envoy after 45,000 requests, half of them at full load; docs/envoy.md. */
  withEnvoyMiB: 44 + 88 + 24,
  /** deploy/base: requests of the sidecar, and how often kubelet probes it in a second (every 5 s and every 10 s). */
  requestedMiB: 96,
  requestedCores: 0.1,
  probesPerSecond: 0.3,
  /** deploy/component/external-secret.yaml, s. */
  refreshSeconds: 300,
  /** ESO 2.9.0: --client-qps, --client-burst; calls to Vault for a refresh without and with --enable-vault-token-cache. */
  esoQps: 50,
  esoBurst: 100,
  vaultCalls: 4,
  vaultCallsCached: 2,
  /** Assumed, s: one refresh of ESO, most of which is Vault's answer. */
  refreshWorkSeconds: 0.05,
  /** kubelet syncs a pod every 60 s, and up to half of it later at random. */
  syncSeconds: 60,
  syncJitter: 0.5,
  /** client-go renews a watch after 5 to 10 min: 7.5 min on average. */
  watchSeconds: 450,
  /** Assumed, KiB: a Secret with 20 credentials or its ExternalSecret, in etcd. */
  objectKiB: 4,
  /** Secrets Store CSI driver, MiB a node: seen in its project's load test, and requested by its manifest. */
  csiMiB: 54,
  csiRequestedMiB: 140,
} as const;

export interface Fleet {
  readonly pods: number;
  /** One Secret for all pods, or one for each. */
  readonly secrets: 'shared' | 'own';
  /** ESO's --concurrent, and its --client-qps. */
  readonly workers: number;
  readonly qps: number;
}

export const nodesOf = (pods: number): number => Math.ceil(pods / INPUTS.podsPerNode);
export const secretsOf = ({ pods, secrets }: Pick<Fleet, 'pods' | 'secrets'>): number =>
  secrets === 'own' ? pods : 1;

/** Watches of all kubelets: the Secrets of their pods and the one ConfigMap that is the same everywhere. */
export function watchesOf({ pods, secrets }: Pick<Fleet, 'pods' | 'secrets'>): number {
  return nodesOf(pods) + (secrets === 'own' ? pods : nodesOf(pods));
}

export interface Wave {
  /** Writes of ESO: the Secret, and the status of its ExternalSecret. */
  readonly writes: number;
  /** Watch events of Secrets that the API server sends to kubelets. */
  readonly events: number;
  /** Most of both in one second. */
  readonly peak: number;
  /** s from the change in the store until ESO has written the last Secret. */
  readonly lastWrite: number;
  /** s, over pods: from the Secret's update, and from the change in the store, until the supervisor has the value. */
  readonly fromSecret: Quantiles;
  readonly fromStore: Quantiles;
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

/** Every value changes in the store at 0 s. ESO's refreshes are spread over the interval. Many such waves, each by chance. */
export function simulateWaves(fleet: Fleet, waves: number, seed = 1): Wave {
  const random = generator(seed);
  const kubelets = fleet.secrets === 'own' ? 1 : nodesOf(fleet.pods);
  const fromSecret = new Float64Array(waves * fleet.pods);
  const fromStore = new Float64Array(waves * fleet.pods);
  let peak = 0;
  let lastWrite = 0;
  for (let wave = 0; wave < waves; wave++) {
    const updates = refreshes(fleet, random);
    const perSecond = new Map<number, number>();
    for (const { secretAt, statusAt } of updates) {
      count(perSecond, secretAt, 1 + kubelets);
      count(perSecond, statusAt, 1);
      lastWrite = Math.max(lastWrite, secretAt);
    }
    peak = Math.max(peak, ...perSecond.values());
    for (let pod = 0; pod < fleet.pods; pod++) {
      const secretAt = updates[pod % updates.length]?.secretAt ?? Number.NaN;
      const delay = untilSync(random) + INPUTS.resolverSeconds;
      fromSecret[wave * fleet.pods + pod] = delay;
      fromStore[wave * fleet.pods + pod] = secretAt + delay;
    }
  }
  return {
    writes: 2 * secretsOf(fleet),
    events: kubelets * secretsOf(fleet),
    peak,
    lastWrite,
    fromSecret: quantiles(fromSecret),
    fromStore: quantiles(fromStore),
  };
}

interface Update {
  readonly secretAt: number;
  readonly statusAt: number;
}

/** ESO: workers take what is due; each asks the store, then writes twice, as the client's rate limit lets it. */
function refreshes(fleet: Fleet, random: () => number): Update[] {
  const due = Array.from({ length: secretsOf(fleet) }, () => random() * INPUTS.refreshSeconds);
  due.sort((a, b) => a - b);
  const free = Array.from({ length: fleet.workers }, () => 0);
  const write = tokenBucket(fleet.qps, INPUTS.esoBurst);
  return due.map((dueAt) => {
    const worker = free.indexOf(Math.min(...free));
    const secretAt = write(Math.max(dueAt, free[worker] ?? 0) + INPUTS.refreshWorkSeconds);
    const statusAt = write(secretAt);
    free[worker] = statusAt;
    return { secretAt, statusAt };
  });
}

/** When a request that is ready at a time may go out. */
function tokenBucket(rate: number, burst: number): (readyAt: number) => number {
  // The moment at which the bucket was, or will be, full if nothing more is taken.
  let fullAt = 0;
  return (readyAt) => {
    fullAt = Math.max(fullAt, readyAt) + 1 / rate;
    return Math.max(readyAt, fullAt - burst / rate);
  };
}

/** s from a moment that knows nothing of the pod until kubelet syncs it: long periods are met more often than short ones. */
export function untilSync(random: () => number): number {
  const longest = INPUTS.syncSeconds * (1 + INPUTS.syncJitter);
  for (;;) {
    const period = INPUTS.syncSeconds * (1 + INPUTS.syncJitter * random());
    if (random() * longest < period) return random() * period;
  }
}

function count(perSecond: Map<number, number>, at: number, by: number): void {
  const second = Math.floor(at);
  perSecond.set(second, (perSecond.get(second) ?? 0) + by);
}

function quantiles(values: Float64Array): Quantiles {
  values.sort();
  const at = (share: number) => values[Math.ceil(share * values.length) - 1] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** mulberry32: numbers in [0, 1) that are the same on every machine. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
