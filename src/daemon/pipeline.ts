/**
 * Volumes → resolve → snapshot store, kept going: a new generation, an expiry or a new configuration each
 * make a new resolution, and one that differs is published. The steps are synchronous: between the read of a
 * generation and the write to the watchers nothing is awaited.
 */

import { type Config, partSecrets, referencedSecrets, secretId } from '../config/config.ts';
import type { Audit } from '../observe/audit/audit.ts';
import { referenceText } from '../observe/audit/record.ts';
import type { Logger } from '../observe/log.ts';
import { FewLines } from '../observe/log-few.ts';
import type { Meter } from '../observe/metrics.ts';
import type { VolumeReads } from '../snapshot/candidates.ts';
import { REMEDIES } from '../snapshot/refusal.ts';
import { type Resolution, resolve } from '../snapshot/resolve.ts';
import {
  type CredentialChange,
  changes,
  eraseSnapshot,
  type SnapshotStore,
  sameResolution,
} from '../snapshot/snapshot.ts';
import type { Views } from '../snapshot/views.ts';
import { AfterSending } from '../socket/after-sending.ts';
import { maySee } from '../socket/policy.ts';
import { volumeDirectory } from '../sources/index.ts';
import { Volume, type VolumeState } from '../sources/volume.ts';
import { wantedKeys } from '../sources/wanted.ts';

/** Milliseconds between two looks at the wall clock for expiries: a clock that is set forward is noticed this soon. */
const EXPIRY_CHECK_MS = 1_000;

/** Credentials that one line of the log names. */
const MAX_NAMED = 100;

export interface PipelineOptions {
  readonly store: SnapshotStore;
  readonly views: Views;
  readonly audit: Audit;
  readonly log: Logger;
  readonly meter: Meter;
}

export class Pipeline implements AsyncDisposable {
  readonly #options: PipelineOptions;
  #config: Config;
  #volumes: ReadonlyMap<string, Volume> = new Map();
  /** Volumes that a reload added, until each was read once. */
  #starting: ReadonlyMap<string, Volume> = new Map();
  #stopped = false;
  /** What is to be written down of the last snapshot, once it is on its way. */
  readonly #afterSending = new AfterSending();
  #expiry: NodeJS.Timeout | undefined;
  /** The reloads so far, one after the other: two at once would each close what the other has just opened. */
  #reloads: Promise<void> = Promise.resolve();

  constructor(config: Config, options: PipelineOptions) {
    this.#config = config;
    this.#options = options;
  }

  get volumes(): VolumeState[] {
    return [...this.#volumes.values()].flatMap(({ state }) => state ?? []);
  }

  /** The last read of each Secret, by its id. */
  get reads(): VolumeReads {
    return new Map(this.volumes.map(({ secret, read }) => [secretId(secret), read]));
  }

  /** Reads every volume once, publishes the first snapshot, and goes on watching. */
  async start(): Promise<void> {
    await this.reload(this.#config);
    // Its log lines come before anything that its caller writes.
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /**
   * Puts another configuration in force. The old one stays in force, rotations and expiries included, until every
   * volume of the new one has been read.
   */
  reload(config: Config): Promise<void> {
    const replaced = this.#reloads.then(() => this.#replace(config));
    // The caller learns of a failure; the next reload is tried anyway.
    this.#reloads = replaced.catch(() => {});
    return replaced;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#expiry);
    this.#afterSending.catchUp();
    await closeAll(this.#starting);
    await this.#reloads;
    await closeAll(this.#volumes);
  }

  async #replace(config: Config): Promise<void> {
    if (this.#stopped) return;
    const volumes = this.#volumesOf(config);
    this.#starting = volumes;
    await Promise.all([...volumes.values()].map((volume) => volume.start()));
    const old = this.#volumes;
    this.#volumes = volumes;
    this.#config = config;
    this.#refresh(performance.now());
    await closeAll(old);
  }

  #volumesOf(config: Config): Map<string, Volume> {
    const { log, meter } = this.#options;
    const volumes = new Map<string, Volume>();
    const ofConsumer = new Set(partSecrets(config).map(secretId));
    for (const secret of referencedSecrets(config)) {
      const volume = new Volume({
        secret,
        directory: volumeDirectory(config, secret),
        wanted: wantedKeys(config, secret),
        log,
        onChange: (state) => {
          if (ofConsumer.has(secretId(secret))) noteRead(log, state);
          if (this.#volumes === volumes && this.#refresh(state.readAt)) meter.rotated();
        },
      });
      volumes.set(secretId(secret), volume);
    }
    return volumes;
  }

  /**
   * Resolves anew, and says whether that changed what is served. `mountedAt` is the moment, on the monotonic clock,
   * that the cause of it was read.
   */
  #refresh(mountedAt: number): boolean {
    if (this.#stopped) return false;
    this.#afterSending.catchUp();
    const { store, views } = this.#options;
    const now = Date.now();
    const resolution = resolve(this.#config, this.reads, now);
    this.#scheduleExpiry(resolution.nextExpiryMs, now);
    const before = store.current();
    if (before !== undefined && sameResolution(before, resolution)) {
      eraseSnapshot(resolution);
      return false;
    }
    const found = changes(before, resolution);
    // Watchers first: what is written down must not delay what is revoked, and the messages to them leave this
    // process at the end of this turn of the event loop only.
    const snapshot = { ...resolution, mountedAt };
    store.publish(snapshot);
    const providers = this.#config.providers.map(({ name }) => name);
    const { revision } = views.of(snapshot, providers);
    const { callers } = this.#config;
    this.#afterSending.add(() => this.#writeDown(found, resolution.oversize, revision, callers));
    return true;
  }

  #writeDown(
    found: readonly CredentialChange[],
    oversize: Resolution['oversize'],
    revision: bigint,
    callers: Config['callers'],
  ): void {
    const { audit, log } = this.#options;
    const lines = new FewLines(log);
    audit.credentialsChanged(found, revision, (provider) =>
      callers.flatMap((caller) => (maySee(caller, provider) ? caller.name : [])),
    );
    const dead = found.filter(({ kind }) => kind === 'handle-changed');
    if (dead.length > 0) {
      const credentials = dead.slice(0, MAX_NAMED).map(({ provider, key }) => `${provider}:${key}`);
      log.warn(
        { credentials, count: dead.length },
        'the handles of these credentials changed: placeholders that agents hold no longer resolve; restart those agents',
      );
    }
    for (const { kind, provider, key, reference, required, reason } of found) {
      if (kind === 'handle-changed') continue;
      const facts = { provider, key, reference: referenceText(reference), required };
      if (reason === undefined) lines.add('info', facts, `credential ${kind}`);
      else lines.add('warn', { ...facts, reason, todo: REMEDIES[reason] }, `credential ${kind}`, reason);
    }
    for (const value of oversize) {
      lines.add('warn', value, "the value is larger than the 8192 bytes that OpenShell's gateway takes");
    }
    lines.end();
  }

  /** Expiry is acted on when its time comes, without an event of a file. */
  #scheduleExpiry(nextExpiryMs: number | undefined, now: number): void {
    clearTimeout(this.#expiry);
    if (nextExpiryMs === undefined) return;
    const check = () => {
      const at = Date.now();
      if (at >= nextExpiryMs) this.#refresh(performance.now());
      else this.#expiry = setTimeout(check, Math.min(nextExpiryMs - at, EXPIRY_CHECK_MS)).unref();
    };
    this.#expiry = setTimeout(check, Math.min(nextExpiryMs - now, EXPIRY_CHECK_MS)).unref();
  }
}

/** No credential of a provider tells of these, so the log does. */
function noteRead(log: Logger, { secret, read }: VolumeState): void {
  const volume = secretId(secret);
  if (read.kind === 'fault') log.warn({ volume, fault: read.fault }, 'a Secret of a consumer cannot be read');
  else log.info({ volume, generation: read.generation.id }, 'a Secret of a consumer was read');
}

async function closeAll(volumes: ReadonlyMap<string, Volume>): Promise<void> {
  await Promise.all([...volumes.values()].map((volume) => volume[Symbol.asyncDispose]()));
}
