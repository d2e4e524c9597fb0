/**
 * Takes values out of what a server answers, in the forms that servers echo: plain, URL-encoded, as a JSON string, in
 * Base64 and inside Basic credentials. It is a net under mistakes of servers: an agent that makes a server transform
 * what it was sent (compress it, reverse it, one character at a time) gets it past any such search.
 */

import { encodeForPath } from '../client/placeholder-path.ts';
import { encodeForUrl } from '../client/placeholder-text.ts';

/** Shorter values are found in innocent text. */
export const MIN_BYTES = 8;
const REPLACEMENT = Buffer.from('[CREDENTIAL]');

/** The forms of some values, shared by all responses that they are looked for in; overwritten after the last of these. */
export class Needles implements Disposable {
  /** Without doubles. */
  readonly forms: readonly Buffer[];
  #uses = 1;

  /** Overwrites what it is given. */
  constructor(values: readonly Buffer[]) {
    const kept = new Map<string, Buffer>();
    for (const form of values.filter(({ byteLength }) => byteLength >= MIN_BYTES).flatMap(formsOf)) {
      const text = form.toString('latin1');
      if (kept.has(text)) form.fill(0);
      else kept.set(text, form);
    }
    this.forms = [...kept.values()];
    for (const value of values) value.fill(0);
  }

  /** For one user more, who disposes of it. */
  shared(): this {
    this.#uses += 1;
    return this;
  }

  [Symbol.dispose](): void {
    this.#uses -= 1;
    if (this.#uses === 0) for (const form of this.forms) form.fill(0);
  }
}

export class Redaction implements Disposable {
  readonly #sets: Needles[] = [];
  /** The longest first: a value may be the beginning of another. */
  #needles: readonly Buffer[] = [];
  /** The end of what was seen, as it came, where it may be the beginning of a value. */
  #held: Buffer = Buffer.alloc(0);

  constructor(needles: Needles) {
    this.add(needles);
  }

  /** Looks for these, too: a response may outlast a rotation. It disposes of them at its end. */
  add(needles: Needles): void {
    const fresh = needles.forms.filter((form) => !this.#needles.some((known) => known.equals(form)));
    if (fresh.length === 0) {
      needles[Symbol.dispose]();
      return;
    }
    this.#sets.push(needles);
    this.#needles = [...this.#needles, ...fresh].sort((a, b) => b.byteLength - a.byteLength);
  }

  /** A header's value, one character per byte. */
  text(value: string): string {
    const bytes = Buffer.from(value, 'latin1');
    const found = this.#find(bytes);
    return found.length === 0 ? value : replaced(bytes, found).toString('latin1');
  }

  /** One chunk of a body. What may be the beginning of a value is held back until the next one. */
  chunk(bytes: Uint8Array, last: boolean): Buffer {
    const seen = Buffer.concat([this.#held, bytes]);
    const found = this.#find(seen);
    const begun = last ? seen.byteLength : this.#mayBegin(seen);
    // Of two values that overlap there, neither is cut.
    const from = found.find(({ start, end }) => start < begun && end > begun)?.start ?? begun;
    this.#held.fill(0);
    this.#held = Buffer.from(seen.subarray(from));
    return replaced(
      seen.subarray(0, from),
      found.filter(({ end }) => end <= from),
    );
  }

  /** Overwrites what it holds. */
  [Symbol.dispose](): void {
    for (const needles of this.#sets.splice(0)) needles[Symbol.dispose]();
    this.#needles = [];
    this.#held.fill(0);
  }

  /** Where values are, in order. Where two overlap, it is the longer one. */
  #find(text: Buffer): Found[] {
    const found: Found[] = [];
    let taken: Uint8Array | undefined;
    for (const needle of this.#needles) {
      const { byteLength } = needle;
      for (let at = text.indexOf(needle); at >= 0; ) {
        const end = at + byteLength;
        // Longer ones were looked for before: one that overlaps has the first byte or the last.
        const free = taken?.[at] !== 1 && taken?.[end - 1] !== 1;
        if (free) {
          taken ??= new Uint8Array(text.byteLength);
          taken.fill(1, at, end);
          found.push({ start: at, end });
        }
        at = text.indexOf(needle, free ? end : at + 1);
      }
    }
    return found.sort((a, b) => a.start - b.start);
  }

  /** Where the longest end of a text begins that is the beginning of a value; its length if there is none. */
  #mayBegin(text: Buffer): number {
    let first = text.byteLength;
    for (const needle of this.#needles) {
      const begins = (at: number) => needle.subarray(0, text.byteLength - at).equals(text.subarray(at));
      const start = needle.subarray(0, MIN_BYTES);
      let at = text.indexOf(start, Math.max(0, text.byteLength - needle.byteLength + 1));
      while (at >= 0 && at < first && !begins(at)) at = text.indexOf(start, at + 1);
      if (at < 0) {
        at = Math.max(0, text.byteLength - start.byteLength + 1);
        while (at < first && !begins(at)) at += 1;
      }
      first = Math.min(first, at);
    }
    return first;
  }
}

interface Found {
  readonly start: number;
  readonly end: number;
}

function replaced(text: Buffer, found: readonly Found[]): Buffer {
  if (found.length === 0) return text;
  const parts: Buffer[] = [];
  let from = 0;
  for (const { start, end } of found) {
    parts.push(text.subarray(from, start), REPLACEMENT);
    from = end;
  }
  return Buffer.concat([...parts, text.subarray(from)]);
}

function formsOf(value: Buffer): Buffer[] {
  const text = value.toString('utf8');
  // As encodeURIComponent writes it, and as the kit does in a query and in a path.
  const urls = [encodeURIComponent(text), encodeForUrl(text), encodeForPath(text)];
  const json = JSON.stringify(text).slice(1, -1);
  return [
    value,
    ...urls.flatMap((url) => [
      url,
      url.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
      url.replaceAll('%20', '+'),
    ]),
    ...[json, json.replaceAll('/', '\\/')],
    ...[0, 1, 2].flatMap((offset) => {
      const core = base64Core(value, offset);
      return [
        core,
        core.replaceAll('+', '-').replaceAll('/', '_'),
        core.replaceAll('/', '\\/'),
        encodeURIComponent(core),
      ];
    }),
  ].map((form) => Buffer.from(form));
}

/** The characters of Base64 that depend on a value alone, where `offset` bytes of something else are before it. */
function base64Core(value: Buffer, offset: number): string {
  const bits = (offset + value.byteLength) * 8;
  const encoded = Buffer.concat([Buffer.alloc(offset), value]).toString('base64');
  return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(bits / 6));
}
