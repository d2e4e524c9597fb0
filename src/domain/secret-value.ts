/**
 * The one type that holds a secret.
 *
 * The bytes are in a WeakMap beside the object and not in the object, not even in a private field: a debugger preview
 * shows private fields, `util.inspect` has an option to show getters, and `structuredClone` copies own properties. An
 * instance has none of these, so printing, cloning or serialising it reveals nothing.
 *
 * Accepted weakness: V8 may have copied the bytes while moving them, and strings that a caller makes of them stay in
 * the heap until collected. See "What we do not promise" in SECURITY.md.
 */
import { timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const REDACTED = '[secret]';
const contents = new WeakMap<SecretValue, Buffer>();

export class SecretValue {
  private constructor() {
    Object.freeze(this);
  }

  /**
   * Takes ownership of `bytes`: the caller must not keep or change them. A Buffer from the shared pool is copied, so
   * that erasing this value erases exactly its own bytes.
   */
  static from(bytes: Uint8Array): SecretValue {
    const own =
      Buffer.isBuffer(bytes) && bytes.byteLength === bytes.buffer.byteLength
        ? bytes
        : Buffer.from(Uint8Array.from(bytes).buffer);
    const value = new SecretValue();
    contents.set(value, own);
    return value;
  }

  /** Length in bytes; 0 after `erase`. */
  get byteLength(): number {
    return contents.get(this)?.byteLength ?? 0;
  }

  /** The bytes themselves, not a copy. For the encoder and for an authorised client: never log the result. */
  reveal(): Buffer {
    const bytes = contents.get(this);
    if (bytes === undefined) throw new Error('this secret value has been erased');
    return bytes;
  }

  /** Whether both hold the same bytes. The comparison takes constant time for values of the same length. */
  equals(other: SecretValue): boolean {
    const a = contents.get(this);
    const b = contents.get(other);
    if (a === undefined || b === undefined) return false;
    return a.byteLength === b.byteLength && timingSafeEqual(a, b);
  }

  /** Overwrites the bytes with zeros, as far as JavaScript can, and drops them. Safe to call twice. */
  erase(): void {
    contents.get(this)?.fill(0);
    contents.delete(this);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  get [Symbol.toStringTag](): string {
    return 'SecretValue';
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
