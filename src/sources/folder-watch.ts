/**
 * Hints that something in a folder may have changed, from chokidar. Every event is one, `raw` included: the others are
 * throttled, so that of two swaps some milliseconds apart only the first may be reported. None of them is a fact: the
 * reader compares, and reads at intervals too, because gVisor, Kata and a full queue lose events.
 */
import { lstatSync } from 'node:fs';
import { type FSWatcher, watch } from 'chokidar';

export interface FolderWatchOptions {
  readonly folder: string;
  /** `name` is the entry that changed; undefined where nothing says which. */
  readonly onHint: (name: string | undefined) => void;
  /** Called once each time the watch begins to fail, for example where the kernel has no inotify instance left. */
  readonly onFailure: (error: unknown) => void;
}

export class FolderWatch implements AsyncDisposable {
  readonly #options: FolderWatchOptions;
  #watcher: FSWatcher | undefined;
  /** Device and inode of the folder that the watch was put on; undefined where there is no watch. */
  #watched: string | undefined;
  #failing = false;

  constructor(options: FolderWatchOptions) {
    this.#options = options;
  }

  /**
   * Puts the watch on the folder that exists now, unless it is on it. A folder that was replaced as a whole has none:
   * the old watch is on a deleted inode. Call it before each read, so that a watch that failed is tried again.
   */
  renew(): void {
    const { folder, onHint, onFailure } = this.#options;
    const found = identity(folder);
    if (found === this.#watched) return;
    this.#close();
    this.#watched = found;
    // Ignored entries still make `raw` events. Without that chokidar lists the folder and calls lstat on every key
    // several times a rotation, on the thread pool: for 20 keys 10 ms of CPU in place of 1.5.
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
      // What changed before the watch stood made no event.
      onHint(undefined);
    });
    this.#watcher = watcher;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  /** From here on there are no hints; the handle of the kernel is closed by the time the promise settles. */
  #close(): Promise<void> | undefined {
    const closing = this.#watcher?.close().catch(() => {});
    this.#watcher = undefined;
    return closing;
  }
}

/** Device and inode; empty where there is no folder that we can see, whatever the reason: the read reports it. */
function identity(folder: string): string {
  try {
    const { dev, ino } = lstatSync(folder, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return '';
  }
}
