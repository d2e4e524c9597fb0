/**
 * Finds placeholders in a text, plain or hidden. No I/O, no clock, no values.
 *
 * The attack: a marker that is encoded so that this code overlooks it but the next server decodes it, or so that the
 * two read different names. Hence two separate functions: `splitAtPlaceholders` finds plain placeholders, which can
 * be replaced, and `hasMarker` finds a marker in any encoding. A marker that remains after replacement is refused.
 */
import { ALIAS_MARKER, PLACEHOLDER_PREFIX } from './placeholder.ts';

const NAME_CHARACTERS = /[A-Za-z0-9_]*/y;
const ALIAS_PREFIX_CHARACTER = /[A-Za-z0-9_.~-]/;
const ALIAS_CHARACTERS = /[A-Za-z0-9_.~-]*/y;

export const PERCENT = 0x25;

/** Length of the shortest text that can hold a marker, in characters. */
export const SHORTEST_MARKER = Math.min(PLACEHOLDER_PREFIX.length, ALIAS_MARKER.length);

/** A part of a text: `plain` has no marker, and `token` is exactly one placeholder. */
export type TextPart =
  | { readonly kind: 'plain'; readonly text: string }
  | { readonly kind: 'token'; readonly text: string };

/**
 * Splits a text at its placeholders; joining the parts gives the text again. A token extends as far as its characters
 * allow, so `…:KEYX` names KEYX and never KEY followed by an X. A token may be malformed; parsing it then refuses it.
 * Linear in the length of the text.
 */
export function splitAtPlaceholders(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let from = 0;
  let plain = text.indexOf(PLACEHOLDER_PREFIX);
  let alias = text.indexOf(ALIAS_MARKER);
  while (plain >= 0 || alias >= 0) {
    const plainIsNext = alias < 0 || (plain >= 0 && plain < alias);
    const token = plainIsNext ? plainToken(text, plain) : aliasToken(text, alias, from);
    if (token.start > from) parts.push({ kind: 'plain', text: text.slice(from, token.start) });
    parts.push({ kind: 'token', text: text.slice(token.start, token.end) });
    from = token.end;
    // Each search runs again only after its last match is passed. Otherwise a text full of one marker would be scanned
    // to the end for the other one each time.
    if (plain >= 0 && plain < from) plain = text.indexOf(PLACEHOLDER_PREFIX, from);
    if (alias >= 0 && alias < from) alias = text.indexOf(ALIAS_MARKER, from);
  }
  if (from < text.length) parts.push({ kind: 'plain', text: text.slice(from) });
  return parts;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

function plainToken(text: string, start: number): Span {
  const nameAt = start + PLACEHOLDER_PREFIX.length;
  const end = endOfRun(NAME_CHARACTERS, text, nameAt);
  // Two placeholders may be adjacent: the prefix of the second is not part of the first one's name.
  const neighbour = text.slice(nameAt, end + PLACEHOLDER_PREFIX.length).indexOf(PLACEHOLDER_PREFIX);
  return { start, end: neighbour < 0 ? end : Math.min(end, nameAt + neighbour) };
}

function aliasToken(text: string, marker: number, from: number): Span {
  let start = marker;
  while (start > from && ALIAS_PREFIX_CHARACTER.test(text.charAt(start - 1))) start--;
  // A name followed by "-", "." or "~" is part of a longer word: take the whole word, so that it is refused.
  return { start, end: endOfRun(ALIAS_CHARACTERS, text, marker + ALIAS_MARKER.length) };
}

function endOfRun(run: RegExp, text: string, from: number): number {
  run.lastIndex = from;
  run.test(text);
  return run.lastIndex;
}

/**
 * Whether a text holds a marker: plain, percent-encoded in either case and to any depth, or with JSON string escapes.
 * Linear in the length of the text.
 *
 * Accepted weakness: other encodings (Base64 outside Basic credentials, UTF-16, the agent's own cipher) are not
 * decoded. Only a placeholder can leave that way, never a value, because nothing is replaced in text that was not
 * decoded.
 */
export function hasMarker(text: string): boolean {
  if (text.length < SHORTEST_MARKER) return false;
  if (hasPlainMarker(text)) return true;
  const decoded = text.includes('%') ? decodeFully(text) : text;
  if (hasPlainMarker(decoded)) return true;
  if (!decoded.includes('\\u00')) return false;
  return hasPlainMarker(decodeFully(decoded.replace(/\\u00([0-9a-fA-F]{2})/g, '%$1')));
}

function hasPlainMarker(text: string): boolean {
  return text.includes(PLACEHOLDER_PREFIX) || text.includes(ALIAS_MARKER);
}

/**
 * Decodes a text until nothing is left to decode, with one character per byte of UTF-8.
 *
 * Each `%XX` is replaced as soon as it is complete, and the result may complete the next one: `%2541` and
 * `%%34%31` both end as `A`. The rules do not overlap, so the order does not matter, and no marker is lost: a
 * marker contains no `%`, and its first character, `o` or `O`, is not a hexadecimal digit.
 */
export function decodeFully(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  let length = 0;
  for (const byte of bytes) {
    bytes[length++] = byte;
    while (length >= 3 && bytes[length - 3] === PERCENT) {
      const high = hexDigit(bytes[length - 2]);
      const low = hexDigit(bytes[length - 1]);
      if (high < 0 || low < 0) break;
      length -= 2;
      bytes[length - 1] = high * 16 + low;
    }
  }
  return bytes.toString('latin1', 0, length);
}

/** The value of a hexadecimal digit; -1 for any other character. */
export function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
