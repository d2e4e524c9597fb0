/** Reads decisions from the bytes of an input. Past their end everything is 0 or empty. */
export class Bytes {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.byteLength - this.#at;
  }

  number(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  /** A number of four bytes. */
  long(): number {
    return ((this.number() << 24) | (this.number() << 16) | (this.number() << 8) | this.number()) >>> 0;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.number() % choices.length] ?? choices[0];
  }

  take(count: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += taken.byteLength;
    return taken;
  }

  /** A one-byte length, followed by that number of bytes. */
  some(): Buffer {
    return this.take(this.number());
  }

  rest(): Buffer {
    return this.take(Math.max(0, this.left));
  }
}
