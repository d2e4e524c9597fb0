/**
 * Moves only the resolver's wall clock, with libfaketime if it is installed: changing the machine's clock would disturb
 * other programs. The monotonic clock stays real.
 */
import { chmodSync, existsSync, writeFileSync } from 'node:fs';

/** Where Debian's package `libfaketime` puts the library; SOAK_LIBFAKETIME names another place. */
const PLACES = ['x86_64', 'aarch64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu/faketime/libfaketime.so.1`);

export class Clock {
  /** Environment variables of the resolver's process. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  private constructor(library: string, file: string) {
    this.#file = file;
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** Undefined where the library is missing. */
  static find(file: string): Clock | undefined {
    const library = [process.env.SOAK_LIBFAKETIME ?? '', ...PLACES].find(
      (path) => path !== '' && existsSync(path),
    );
    if (library === undefined) return undefined;
    const clock = new Clock(library, file);
    clock.set(0);
    chmodSync(file, 0o644);
    return clock;
  }

  /** The clock shows this many milliseconds more than the machine's, within a second. */
  set(aheadMs: number): void {
    writeFileSync(this.#file, `+${Math.round(aheadMs / 1000)}\n`);
  }
}
