/**
 * Takes every descriptor that this process may still have. For child processes whose limit a test has lowered:
 * a shortage of its own would end the test runner.
 */
import { closeSync, openSync } from 'node:fs';

export class DescriptorShortage implements Disposable {
  readonly #taken: number[] = [];

  /** Takes what is left now. */
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

  /** Gives back so many, or all. */
  give(count = this.#taken.length): void {
    for (const fd of this.#taken.splice(0, count)) closeSync(fd);
  }

  [Symbol.dispose](): void {
    this.give();
  }
}

/** Arguments of `sh` that run a program with so few descriptors. */
export function withDescriptors(limit: number, ...command: string[]): string[] {
  return ['-c', `ulimit -n ${limit} && exec "$0" "$@"`, ...command];
}
