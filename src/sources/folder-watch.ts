/**
 * Hints from chokidar that a directory may have changed. Every event is a hint, including `raw`: chokidar throttles the
 * others, so that of two swaps within milliseconds it may report only the first. No event is trusted: the reader
 * compares contents, and also reads at intervals, because gVisor, Kata and a full queue lose events.
 */
import { lstatSync } from 'node:fs';
import { type FSWatcher, watch } from 'chokidar';

export interface FolderWatchOptions {
  readonly folder: string;
  /** `name` is the entry that changed; undefined if it is unknown. */
  readonly onHint: (name: string | undefined) => void;
  /** Called once each time the watch starts to fail, for example because the kernel has no inotify instance left. */
  readonly onFailure: (error: unknown) => void;
}

export class FolderWatch implements AsyncDisposable {
  readonly #options: FolderWatchOptions;
  #watcher: FSWatcher | undefined;
  /** Device and inode of the watched directory; undefined if there is no watch. */
  #watched: string | undefined;
  #failing = false;

  constructor(options: FolderWatchOptions) {
    this.#options = options;
  }

  /**
   * Watches the directory that exists now, unless it is watched already. After a directory is replaced as a whole, the
   * old watch is on a deleted inode. Call this before each read, so that a failed watch is retried.
   */
  renew(): void {
    const { folder, onHint, onFailure } = this.#options;
    const found = identity(folder);
    if (found === this.#watched) return;
    this.#close();
    this.#watched = found;
    // Ignored entries still cause `raw` events. If they were not ignored, chokidar would list the directory and call
    // lstat on every key several times per rotation, on the thread pool: 10 ms of CPU for 20 keys instead of 1.5 ms.
    const ignored = (path: string) => path !== folder;
    const options = { depth: 0, followSymlinks: false, ignoreInitial: true, atomic: false, ignored };
    const watcher = watch(folder, options);
    watcher.on('raw', (_event, name) => onHint(name ?? undefined));
    watcher.on('all', () => onHint(undefined));
    let failed = false;
    watcher.on('error', (error) => {
      failed = true;
      this.#watched = undefined;
      if (this.#failing) return;
      this.#failing = true;
      onFailure(error);
    });
    watcher.on('ready', () => {
      if (failed) return;
      this.#failing = false;
      // Changes before the watch was ready caused no event.
      onHint(undefined);
    });
    this.#watcher = watcher;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  /** Stops the hints. The kernel handle is closed when the promise settles. */
  #close(): Promise<void> | undefined {
    const closing = this.#watcher?.close().catch(() => {});
    this.#watcher = undefined;
    return closing;
  }
}

/** Device and inode; empty if the directory cannot be seen for any reason, which the read then reports. */
function identity(folder: string): string {
  try {
    const { dev, ino } = lstatSync(folder, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return '';
  }
}
