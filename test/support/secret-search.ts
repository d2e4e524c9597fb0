/** Finds many secrets in one pass: a run has thousands of them in a dozen forms, and hundreds of megabytes to search. */

/** Bytes at the end of every form that are looked up; forms are no shorter. A secret's end is random, its start often a prefix. */
export const WINDOW = 8;
const HASH_BITS = 24;

interface Form {
  readonly bytes: Buffer;
  /** The window's second four bytes, as a little-endian word. */
  readonly high: number;
  readonly secret: number;
}

/** Every form of a secret that is looked for. */
export function forms(secret: Buffer): Buffer[] {
  const base64 = [0, 1, 2].map((shift) => {
    // What comes before shifts the alphabet; the first and last characters depend on the neighbours.
    const text = Buffer.concat([Buffer.alloc(shift), secret])
      .toString('base64')
      .replace(/=+$/, '');
    return text.slice(shift === 0 ? 0 : shift + 1, text.length - (text.length % 4 === 0 ? 0 : 1));
  });
  const hex = secret.toString('hex');
  const percent = [...secret].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  return [
    secret,
    ...base64.map((text) => Buffer.from(text)),
    ...base64.map((text) => Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_'))),
    Buffer.from(hex),
    Buffer.from(hex.toUpperCase()),
    Buffer.from(percent),
    Buffer.from(percent.toUpperCase()),
  ];
}

export class SecretSearch {
  /** By the first four bytes of the window. */
  readonly #forms = new Map<number, Form[]>();
  /** A bit for each hash of a window: most places of a text are told apart by it alone. */
  readonly #known = new Uint8Array(2 ** (HASH_BITS - 3));

  /** The forms of each secret; a form of fewer than {@link WINDOW} bytes is an error. */
  constructor(secrets: readonly (readonly Buffer[])[]) {
    secrets.forEach((each, secret) => {
      for (const bytes of each) this.#add(bytes, secret);
    });
  }

  /** The indices of the secrets that `content` contains in any form, without duplicates. */
  in(content: Buffer): number[] {
    const found = new Set<number>();
    const known = this.#known;
    let low = 0;
    let high = 0;
    for (let end = 0; end < content.length; end++) {
      low = (low >>> 8) | (high << 24);
      high = (high >>> 8) | ((content[end] ?? 0) << 24);
      const hash = hashOf(low, high);
      if (((known[hash >>> 3] ?? 0) & (1 << (hash & 7))) === 0) continue;
      for (const form of this.#forms.get(low) ?? []) {
        if (form.high === high && endsAt(content, end + 1, form.bytes)) found.add(form.secret);
      }
    }
    return [...found];
  }

  #add(bytes: Buffer, secret: number): void {
    const low = bytes.readInt32LE(bytes.length - WINDOW);
    const high = bytes.readInt32LE(bytes.length - WINDOW / 2);
    const hash = hashOf(low, high);
    this.#known[hash >>> 3] = (this.#known[hash >>> 3] ?? 0) | (1 << (hash & 7));
    const same = this.#forms.get(low);
    const form = { bytes, high, secret };
    if (same === undefined) this.#forms.set(low, [form]);
    else same.push(form);
  }
}

function hashOf(low: number, high: number): number {
  return (Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca77)) >>> (32 - HASH_BITS);
}

function endsAt(content: Buffer, end: number, bytes: Buffer): boolean {
  const start = end - bytes.length;
  return start >= 0 && content.compare(bytes, 0, bytes.length, start, end) === 0;
}
