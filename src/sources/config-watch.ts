/**
 * Follows the files of the configuration: kubelet's swap of a ConfigMap is a reload. As for a Secret, an event is a hint
 * and comparison is the truth, every 10 s in any case. The image has no shell to send SIGHUP from.
 */
import type { ConfigFiles } from '../config/files.ts';
import { FolderWatch } from './folder-watch.ts';

/** Milliseconds between two comparisons without a hint. */
const RECHECK_INTERVAL_MS = 10_000;
/** Milliseconds that events are gathered: an editor writes a file in several steps. */
const SETTLE_MS = 50;

export interface ConfigWatchOptions {
  /** What the last attempt to load the configuration read, be it in force or wrong. */
  readonly files: () => ConfigFiles;
  /** Done when `files` tells what it read. */
  readonly reload: () => void | Promise<void>;
  readonly log: { readonly warn: (facts: object, message: string) => void };
}

export class ConfigWatch implements AsyncDisposable {
  readonly #options: ConfigWatchOptions;
  #watches: ReadonlyMap<string, FolderWatch> = new Map();
  readonly #interval: NodeJS.Timeout;
  #settle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ConfigWatchOptions) {
    this.#options = options;
    this.#interval = setInterval(() => void this.#check(), RECHECK_INTERVAL_MS).unref();
    this.#watch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#interval);
    clearTimeout(this.#settle);
    await Promise.all([...this.#watches.values()].map((watch) => watch[Symbol.asyncDispose]()));
  }

  async #check(): Promise<void> {
    if (this.#closed) return;
    const { files, reload } = this.#options;
    if (files().changed()) await reload();
    if (!this.#closed) this.#watch();
  }

  /** Another configuration may name other folders. */
  #watch(): void {
    const { files, log } = this.#options;
    const { folders } = files();
    const old = this.#watches;
    this.#watches = new Map(
      [...folders].map((folder) => [
        folder,
        old.get(folder) ??
          new FolderWatch({
            folder,
            onHint: () => {
              this.#settle ??= setTimeout(() => {
                this.#settle = undefined;
                void this.#check();
              }, SETTLE_MS);
            },
            onFailure: (err) =>
              log.warn({ err, folder }, 'the watch of the configuration failed; it is compared every 10 s'),
          }),
      ]),
    );
    for (const [folder, watch] of old) if (!folders.has(folder)) void watch[Symbol.asyncDispose]();
    for (const watch of this.#watches.values()) watch.renew();
  }
}
