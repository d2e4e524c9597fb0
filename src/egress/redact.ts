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

export class Redaction implements Disposable {
  #needles: readonly Buffer[] = [];
  /** The end of what was seen, where it may be the beginning of a value. */
  #held: Buffer = Buffer.alloc(0);

  constructor(values: readonly Buffer[]) {
    this.add(values);
  }

  /** Looks for these, too: a response may outlast a rotation. */
  add(values: readonly Buffer[]): void {
    const forms = values.filter(({ byteLength }) => byteLength >= MIN_BYTES).flatMap(formsOf);
    // The longest first: a value may be the beginning of another.
    const all = [...this.#needles, ...forms];
    this.#needles = [...new Map(all.map((form) => [form.toString('latin1'), form])).values()].sort(
      (a, b) => b.byteLength - a.byteLength,
    );
  }

  /** A header's value, one character per byte. */
  text(value: string): string {
    const bytes = Buffer.from(value, 'latin1');
    const redacted = this.#replace(bytes);
    return redacted === bytes ? value : redacted.toString('latin1');
  }

  /** One chunk of a body. What may be the beginning of a value is held back until the next one. */
  chunk(bytes: Uint8Array, last: boolean): Buffer {
    const seen = this.#replace(Buffer.concat([this.#held, bytes]));
    const from = last ? seen.byteLength : this.#mayBegin(seen);
    this.#held.fill(0);
    this.#held = Buffer.from(seen.subarray(from));
    return seen.subarray(0, from);
  }

  /** Overwrites the values. */
  [Symbol.dispose](): void {
    for (const bytes of [...this.#needles, this.#held]) bytes.fill(0);
  }

  #replace(bytes: Buffer): Buffer {
    let text = bytes;
    for (const needle of this.#needles) {
      const parts: Buffer[] = [];
      let from = 0;
      for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, from)) {
        parts.push(text.subarray(from, at), REPLACEMENT);
        from = at + needle.byteLength;
      }
      if (parts.length > 0) text = Buffer.concat([...parts, text.subarray(from)]);
    }
    return text;
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
