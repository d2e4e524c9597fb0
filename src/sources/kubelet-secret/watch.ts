/**
 * Keeps the generation of one volume current. An event is a hint; comparison is the truth:
 *   1. start the watch on the volume's directory (a watch on a key or on `..data` dies at the first rotation);
 *   2. only then read for the first time, so that no rotation falls between the two;
 *   3. re-read on any hint, and every {@link REREAD_INTERVAL_MS} without one (gVisor and Kata lose events);
 *   4. publish a read only where its content differs;
 *   5. a read that fails for want of descriptors or memory says nothing: what was read before stays in force while
 *      it is tried again, for a bounded time.
 */
import { type FSWatcher, lstatSync, realpathSync, watch as watchPath } from 'node:fs';
import type { Logger } from 'pino';
import { type SecretName, secretId } from '../../config/config.ts';
import { isSubPathMount, readMounts } from '../../domain/mountinfo.ts';
import {
  eraseGeneration,
  readGeneration,
  readInShortage,
  sameContent,
  type VolumeRead,
  type Wanted,
} from './generation.ts';

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
  #watcher: FSWatcher | undefined;
  /** Device and inode of the directory that the watch is on; empty where there is none. */
  #watched = '';
  /** The last attempt to watch failed, and the log was told. */
  #watchFailed = false;
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
    this.#watcher?.close();
  }

  /**
   * Puts the watch on the directory that is there now. One that was made anew, or only now, has none: the old one
   * watches a deleted inode. Where the kernel refuses, each re-read tries again.
   */
  #watch(): void {
    const { directory, log } = this.#options;
    const found = identity(directory);
    if (found === this.#watched) return;
    this.#watcher?.close();
    this.#watched = '';
    if (found === '') return; // Nothing to watch: the re-read finds out when there is.
    const failed = (error: unknown) => {
      this.#watched = '';
      if (this.#watchFailed) return;
      this.#watchFailed = true;
      log.warn({ err: error, volume: secretId(this.#options.secret) }, 'the watch failed; re-reads go on');
    };
    try {
      const watcher = watchPath(directory, (_event, name) => this.#hint(name));
      watcher.on('error', failed);
      this.#watcher = watcher;
      this.#watched = found;
      this.#watchFailed = false;
    } catch (error) {
      failed(error);
    }
  }

  /** `name` is what changed; null where the kernel does not tell. */
  #hint(name: string | null): void {
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
    this.#watch(); // 1
    const read = withSubPath(directory, readGeneration(directory, wanted)); // 2
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

function withSubPath(directory: string, read: VolumeRead): VolumeRead {
  if (read.kind === 'fault' && read.fault === 'not-kubelet-layout' && mountedBySubPath(directory)) {
    return { kind: 'fault', fault: 'mounted-by-sub-path', code: read.code };
  }
  return read;
}

function mountedBySubPath(directory: string): boolean {
  try {
    // The kernel tells real paths, and /var/run is a symlink in most images.
    return isSubPathMount(realpathSync(directory), readMounts());
  } catch {
    return false; // Gone meanwhile: the next read tells.
  }
}

/** Device and inode; empty where there is no directory that we can see, whatever the reason: the read tells it. */
function identity(directory: string): string {
  try {
    const { dev, ino } = lstatSync(directory, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return '';
  }
}
