/** The bare loop's process, seen from here. */
import { Child } from './child.ts';
import type { Rotatable } from './writer.ts';

const TIMEOUT_MS = 30_000;

export class InotifyLoop implements AsyncDisposable {
  readonly #child: Child;
  #rotation = -1;
  #at = 0n;
  #changed: () => void = () => {};

  private constructor(child: Child) {
    this.#child = child;
    child.process.on('message', ({ rotation, at }: { readonly rotation: number; readonly at: bigint }) => {
      this.#rotation = rotation;
      this.#at = at;
      this.#changed();
    });
  }

  static async on({ directory, prefix, keys }: Rotatable): Promise<InotifyLoop> {
    return new InotifyLoop(
      await Child.start('inotify-loop.ts', [directory, String(keys)], { VALUE_PREFIX: prefix }),
    );
  }

  /** Waits until it has read that rotation; the moment it had, on the monotonic clock. */
  async has(rotation: number): Promise<bigint> {
    if (this.#rotation < rotation) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`the bare loop missed rotation ${rotation}`)),
          TIMEOUT_MS,
        );
        this.#changed = () => {
          if (this.#rotation < rotation) return;
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#at;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}
