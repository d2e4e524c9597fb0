/**
 * Keeps the generation of one volume current. An event is a hint; comparison is the truth:
 *   1. start the watch on the volume's directory (a watch on a key or on `..data` dies at the first rotation);
 *   2. read, and once more when the watch stands, so that no rotation falls between the two;
 *   3. re-read on any hint, and every {@link REREAD_INTERVAL_MS} without one (gVisor and Kata lose events);
 *   4. publish a read only where its content differs;
 *   5. a read that fails for want of descriptors or memory says nothing: what was read before stays in force while
 *      it is tried again, for a bounded time.
 */
import type { Logger } from 'pino';
import { type SecretName, secretId } from '../config/config.ts';
import { FolderWatch } from './folder-watch.ts';
import { sourceOf, type VolumeRead } from './index.ts';
import { eraseGeneration, readInShortage, sameContent, type Wanted } from './source.ts';

/** Milliseconds between two reads without a hint: the longest that a lost event can hide a rotation. */
const REREAD_INTERVAL_MS = 10_000;
/** Milliseconds that other events than those of `..data` are gathered: kubelet makes about six around one rename. */
const SETTLE_MS = 20;
/** Milliseconds after which an unstable volume is read again. */
const UNSTABLE_RETRY_MS = 50;

/** Milliseconds after which a read that failed for a shortage is tried again; doubled each time, up to the second. */
const SHORTAGE_RETRY_MS = 50;
const MAX_SHORTAGE_RETRY_MS = 1_000;
/** Milliseconds that a shortage keeps the last read in force. A Secret that was revoked meanwhile is served this long at most. */
const SHORTAGE_MS = 30_000;

/** A volume as it is now. */
export interface VolumeState {
  readonly secret: SecretName;
  readonly directory: string;
  readonly read: VolumeRead;
  /** Unix milliseconds of the read that first saw this content. */
  readonly readAtMs: number;
  /** The same on the monotonic clock (`performance.now()`), for lags. */
  readonly readAt: number;
  /** Reads with other content than the one before, since the start. */
  readonly rotations: number;
}

export interface VolumeOptions {
  readonly secret: SecretName;
  readonly directory: string;
  readonly wanted: Wanted;
  readonly log: Logger;
  /** Called with each state that differs from the one before, the first included. */
  readonly onChange: (state: VolumeState) => void;
  /** For tests; {@link REREAD_INTERVAL_MS} unless given. */
  readonly rereadIntervalMs?: number;
  /** For tests; {@link SHORTAGE_MS} unless given. */
  readonly shortageMs?: number;
}

export class Volume implements AsyncDisposable {
  readonly #options: VolumeOptions;
  readonly #watch: FolderWatch;
  #state: VolumeState | undefined;
  #reread: NodeJS.Timeout | undefined;
  #settle: NodeJS.Timeout | undefined;
  #hinted = false;
  /** The shortage that the last reads met, if any: since when, and the wait before the next. */
  #shortage: { readonly since: number; retryMs: number } | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  /** Ends the wait for a first read. */
  #firstRead = () => {};

  constructor(options: VolumeOptions) {
    this.#options = options;
    const { directory: folder, secret, log } = options;
    this.#watch = new FolderWatch({
      folder,
      onHint: (name) => this.#hint(name),
      onFailure: (err) => log.warn({ err, volume: secretId(secret) }, 'the watch failed; re-reads go on'),
    });
  }

  /** The last state read; undefined before `start`. */
  get state(): VolumeState | undefined {
    return this.#state;
  }

  /** Starts watching, reads for the first time, and publishes that. In a shortage that may take as long as it is ridden out. */
  async start(): Promise<void> {
    if (this.#closed) return;
    this.#read();
    this.#reread = setInterval(() => this.#read(), this.#options.rereadIntervalMs ?? REREAD_INTERVAL_MS); // 3
    this.#reread.unref();
    if (this.#state !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#firstRead = resolve;
    });
  }

  /** Stops watching. The values of the last generation are overwritten. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#reread);
    clearTimeout(this.#settle);
    clearTimeout(this.#retry);
    this.#firstRead();
    if (this.#state?.read.kind === 'generation') eraseGeneration(this.#state.read.generation);
    await this.#watch[Symbol.asyncDispose]();
  }

  #hint(name: string | undefined): void {
    if (this.#closed || this.#state === undefined) return;
    if (name === '..data') {
      if (this.#hinted) return;
      this.#hinted = true;
      // One read for all events that the kernel delivered together.
      setImmediate(() => {
        this.#hinted = false;
        this.#read();
      });
      return;
    }
    this.#settle ??= setTimeout(() => {
      this.#settle = undefined;
      this.#read();
    }, SETTLE_MS);
  }

  #read(): void {
    if (this.#closed) return;
    const { secret, directory, wanted, log, onChange } = this.#options;
    this.#watch.renew(); // 1
    const read = sourceOf(secret).read(directory, wanted); // 2
    if (read.kind === 'fault' && read.fault === 'unstable') {
      this.#settle ??= setTimeout(() => {
        this.#settle = undefined;
        this.#read();
      }, UNSTABLE_RETRY_MS);
    }
    if (this.#ridesOut(read)) return; // 5
    const before = this.#state;
    if (before !== undefined && sameContent(before.read, read)) {
      if (read.kind === 'generation' && before.read.kind === 'generation') {
        // The same content under a new name: keep the new name, drop the new copy of the values.
        const keys = before.read.generation.keys;
        this.#state = {
          ...before,
          read: { kind: 'generation', generation: { id: read.generation.id, keys } },
        };
        eraseGeneration(read.generation);
      }
      return;
    }
    const state: VolumeState = {
      secret,
      directory,
      read,
      readAtMs: Date.now(),
      readAt: performance.now(),
      rotations: before === undefined ? 0 : before.rotations + 1,
    };
    this.#state = state;
    log.debug(
      {
        volume: secretId(secret),
        ...(read.kind === 'fault'
          ? { fault: read.fault, code: read.code }
          : { generation: read.generation.id }),
      },
      'volume read',
    );
    onChange(state); // 4
    if (before === undefined) this.#firstRead();
    if (before?.read.kind === 'generation') {
      const { generation } = before.read;
      // Once what was read is on its way: what is sent leaves the process at the end of this turn of the event loop.
      setImmediate(() => eraseGeneration(generation));
    }
  }

  /** Whether a read is to be forgotten, because a shortage made it fail; the next is then on its way. Log: once a shortage. */
  #ridesOut(read: VolumeRead): boolean {
    const { secret, log, shortageMs = SHORTAGE_MS } = this.#options;
    const volume = secretId(secret);
    if (!readInShortage(read) || read.kind !== 'fault') {
      if (this.#shortage !== undefined) log.info({ volume }, 'the volume can be read again');
      this.#shortage = undefined;
      return false;
    }
    const now = performance.now();
    if (this.#shortage === undefined) {
      this.#shortage = { since: now, retryMs: SHORTAGE_RETRY_MS };
      log.error(
        { volume, code: read.code, forMs: shortageMs },
        'the resolver has too few descriptors or too little memory to read; what was read before stays in force for a while',
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
