/**
 * Keeps the generation of one volume current. An event is a hint; comparison is the truth:
 *   1. start the watch on the volume's directory (a watch on a key or on `..data` dies at the first rotation);
 *   2. read, and read again when the watch is ready, so that no rotation is missed in between;
 *   3. re-read on any hint, and every {@link REREAD_INTERVAL_MS} without one (gVisor and Kata lose events);
 *   4. publish a read only if its content differs;
 *   5. a read that fails for lack of descriptors or memory says nothing about the Secret: keep serving the previous read
 *      and retry, for a bounded time.
 */
import type { Logger } from 'pino';
import { type SecretName, secretId } from '../config/config.ts';
import { FolderWatch } from './folder-watch.ts';
import { sourceOf, type VolumeRead } from './index.ts';
import { eraseGeneration, readInShortage, sameContent, type Wanted } from './source.ts';

/** Milliseconds between two reads without a hint: a lost event hides a rotation for at most this long. */
const REREAD_INTERVAL_MS = 10_000;
/** Milliseconds for which events of other entries than the source's `changedLast` are batched: kubelet causes about six around one rename. */
const SETTLE_MS = 20;
const UNSTABLE_RETRY_MS = 50;

/** Milliseconds before the retry of a read that failed because of a shortage. Doubles each time, up to the second constant. */
const SHORTAGE_RETRY_MS = 50;
const MAX_SHORTAGE_RETRY_MS = 1_000;
/** Milliseconds for which the last read is served during a shortage. A Secret revoked meanwhile is served for at most this long. */
const SHORTAGE_MS = 30_000;

export interface VolumeState {
  readonly secret: SecretName;
  readonly read: VolumeRead;
  /** Unix milliseconds of the read that first saw this content. */
  readonly readAtMs: number;
  /** The same time on the monotonic clock (`performance.now()`), to measure lag. */
  readonly readAt: number;
  /** Number of reads since the start whose content differed from the previous one. */
  readonly rotations: number;
}

export interface VolumeOptions {
  readonly secret: SecretName;
  readonly directory: string;
  readonly wanted: Wanted;
  readonly log: Logger;
  /** Called with the first state, and with each one that differs from the previous one. */
  readonly onChange: (state: VolumeState) => void;
  /** For tests. Defaults to {@link REREAD_INTERVAL_MS}. */
  readonly rereadIntervalMs?: number;
  /** For tests. Defaults to {@link SHORTAGE_MS}. */
  readonly shortageMs?: number;
}

export class Volume implements AsyncDisposable {
  readonly #options: VolumeOptions;
  readonly #watch: FolderWatch;
  #state: VolumeState | undefined;
  #reread: NodeJS.Timeout | undefined;
  #settle: NodeJS.Timeout | undefined;
  #hinted: NodeJS.Immediate | undefined;
  /** The current shortage, if any: its start, and the wait before the next read. */
  #shortage: { readonly since: number; retryMs: number } | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  readonly #firstRead = Promise.withResolvers<void>();

  constructor(options: VolumeOptions) {
    this.#options = options;
    const { directory: folder, secret, log } = options;
    this.#watch = new FolderWatch({
      folder,
      onHint: (name) => this.#hint(name),
      onFailure: (err) =>
        log.warn(
          { err, volume: secretId(secret) },
          'watching the volume failed; falling back to periodic reads',
        ),
    });
  }

  /** The last state read; undefined before `start`. */
  get state(): VolumeState | undefined {
    return this.#state;
  }

  /** Starts watching, reads for the first time, and publishes the result. During a shortage this waits until the retries end. */
  async start(): Promise<void> {
    if (this.#closed) return;
    this.#read();
    const { rereadIntervalMs = REREAD_INTERVAL_MS } = this.#options;
    this.#reread = setInterval(() => this.#read(), rereadIntervalMs).unref(); // 3
    await this.#firstRead.promise;
  }

  /** Stops watching, and overwrites the values of the last generation. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#reread);
    clearTimeout(this.#settle);
    clearTimeout(this.#retry);
    this.#firstRead.resolve();
    if (this.#state?.read.kind === 'generation') eraseGeneration(this.#state.read.generation);
    await this.#watch[Symbol.asyncDispose]();
  }

  #hint(name: string | undefined): void {
    if (this.#closed || this.#state === undefined) return;
    if (name === undefined || name !== sourceOf(this.#options.secret).changedLast) {
      this.#readIn(SETTLE_MS);
      return;
    }
    // One read for all events that the kernel delivered at once.
    this.#hinted ??= setImmediate(() => {
      this.#hinted = undefined;
      this.#read();
    });
  }

  #readIn(ms: number): void {
    this.#settle ??= setTimeout(() => {
      this.#settle = undefined;
      this.#read();
    }, ms);
  }

  #read(): void {
    if (this.#closed) return;
    const { secret, directory, wanted, log, onChange } = this.#options;
    this.#watch.renew(); // 1
    const read = sourceOf(secret).read(directory, wanted); // 2
    if (read.kind === 'fault' && read.fault === 'unstable') this.#readIn(UNSTABLE_RETRY_MS);
    if (this.#ridesOut(read)) return; // 5
    const before = this.#state;
    if (before !== undefined && sameContent(before.read, read)) {
      if (read.kind === 'generation' && before.read.kind === 'generation') {
        // Same content under a new name: keep the new name, drop the new copy of the values.
        const generation = { ...before.read.generation, id: read.generation.id };
        this.#state = { ...before, read: { kind: 'generation', generation } };
        eraseGeneration(read.generation);
      }
      return;
    }
    const state: VolumeState = {
      secret,
      read,
      readAtMs: Date.now(),
      readAt: performance.now(),
      rotations: before === undefined ? 0 : before.rotations + 1,
    };
    this.#state = state;
    const what =
      read.kind === 'fault' ? { fault: read.fault, code: read.code } : { generation: read.generation.id };
    log.debug({ volume: secretId(secret), ...what }, 'volume read');
    onChange(state); // 4
    this.#firstRead.resolve();
    if (before?.read.kind === 'generation') {
      const { generation } = before.read;
      // Only after the new read is on its way to the subscribers: it leaves the process at the end of this event loop turn.
      setImmediate(() => eraseGeneration(generation));
    }
  }

  /** Whether to ignore a read that failed because of a shortage; the next one is then scheduled. Logs once per shortage. */
  #ridesOut(read: VolumeRead): boolean {
    const { secret, log, shortageMs = SHORTAGE_MS } = this.#options;
    const volume = secretId(secret);
    if (read.kind !== 'fault' || !readInShortage(read)) {
      if (this.#shortage !== undefined) log.info({ volume }, 'the volume can be read again');
      this.#shortage = undefined;
      return false;
    }
    const now = performance.now();
    if (this.#shortage === undefined) {
      this.#shortage = { since: now, retryMs: SHORTAGE_RETRY_MS };
      log.error(
        { volume, code: read.code, forMs: shortageMs },
        'too few descriptors or too little memory to read the volume; the previous read stays in force for now',
      );
    }
    const shortage = this.#shortage;
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      shortage.retryMs = Math.min(shortage.retryMs * 2, MAX_SHORTAGE_RETRY_MS);
      this.#read();
    }, shortage.retryMs);
    return now - shortage.since < shortageMs;
  }
}
