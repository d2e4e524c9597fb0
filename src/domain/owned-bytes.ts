/**
 * Encoded values on their way to any number of peers, without a copy for each. They are overwritten when they are
 * retired and the last write of them has ended: not earlier, or a slow peer would be sent zeros for values.
 */
export class OwnedBytes {
  readonly bytes: Buffer;
  #uses = 0;
  #retired = false;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Keeps the bytes as they are until the returned function is called. */
  use(): () => void {
    this.#uses += 1;
    let used = true;
    return () => {
      if (!used) return;
      used = false;
      this.#uses -= 1;
      this.#eraseIfDone();
    };
  }

  /** Nothing is sent of it from now on but what is under way. Safe to call twice. */
  retire(): void {
    this.#retired = true;
    this.#eraseIfDone();
  }

  #eraseIfDone(): void {
    if (this.#retired && this.#uses === 0) this.bytes.fill(0);
  }
}
