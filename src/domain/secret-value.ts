/**
 * The one type that holds a secret.
 *
 * The bytes live in a WeakMap beside the object and not in the object, not even in a private field: a
 * debugger's preview shows private fields, `util.inspect` can be told to show getters, and `structuredClone`
 * copies own properties. An instance has none, so whatever prints, clones or serialises it finds nothing.
 *
 * What this cannot do: V8 may have copied the bytes while moving them, and strings made of them by a caller
 * stay in the heap until collected. SECURITY.md says so under "What we do not promise".
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
   * Takes ownership of `bytes`: the caller must not keep or change them. A Buffer from the shared pool is
   * copied out of it, so that erasing this value erases all of it and nothing else.
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

  /** Whether both hold the same bytes, in a time that depends on the length alone. */
  equals(other: SecretValue): boolean {
    const a = contents.get(this);
    const b = contents.get(other);
    if (a === undefined || b === undefined) return false;
    return a.byteLength === b.byteLength && timingSafeEqual(a, b);
  }

  /** Overwrites the bytes with zeros, as well as JavaScript can, and forgets them. Safe to call twice. */
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
