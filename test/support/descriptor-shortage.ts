/**
 * Uses up the descriptors of this process. Only for child processes whose limit a test has lowered: a shortage in the
 * test runner itself would end it.
 */
import { closeSync, openSync } from 'node:fs';

export class DescriptorShortage implements Disposable {
  readonly #taken: number[] = [];

  /** Takes all remaining descriptors. */
  take(): void {
    for (;;) {
      try {
        this.#taken.push(openSync('/dev/null', 'r'));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EMFILE') return;
        throw error;
      }
    }
  }

  /** Releases `count` descriptors, by default all. */
  give(count = this.#taken.length): void {
    for (const fd of this.#taken.splice(0, count)) closeSync(fd);
  }

  [Symbol.dispose](): void {
    this.give();
  }
}

/** Arguments of `sh` that run a program with this descriptor limit. */
export function withDescriptors(limit: number, ...command: string[]): string[] {
  return ['-c', `ulimit -n ${limit} && exec "$0" "$@"`, ...command];
}
