/**
 * Where a text holds placeholders, or hides one. No I/O, no clock, no values.
 *
 * The attack: a marker that is spelled so that we overlook it and the next server decodes it, or so that
 * we see a different name than it does. Hence two questions that are kept apart: `splitAtPlaceholders` finds
 * the plainly written ones, which can be replaced, and `hasMarker` finds one in any spelling, which makes
 * what is left over a refusal.
 */
import { ALIAS_MARKER, PLACEHOLDER_PREFIX } from './placeholder.ts';

const NAME_CHARACTERS = /[A-Za-z0-9_]*/y;
const ALIAS_PREFIX_CHARACTER = /[A-Za-z0-9_.~-]/;
const ALIAS_CHARACTERS = /[A-Za-z0-9_.~-]*/y;

/** The character code of "%". */
export const PERCENT = 0x25;

/** Characters of the shortest text that holds a marker. */
export const SHORTEST_MARKER = Math.min(PLACEHOLDER_PREFIX.length, ALIAS_MARKER.length);

/** A run of a text: `plain` without a marker, or `token`, from the first to the last character of a placeholder. */
export type TextPart =
  | { readonly kind: 'plain'; readonly text: string }
  | { readonly kind: 'token'; readonly text: string };

/**
 * Cuts a text at its placeholders; the parts joined give the text again. A token reaches as far as its
 * characters go, so `…:KEYX` names KEYX and never KEY with an X behind it. A token may turn out to be
 * malformed: whoever parses it refuses it then. Linear in the length of the text.
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
    // Each is looked for again only once it is passed: a text full of one of them is read once for the other.
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
  // Two placeholders may touch: the second one's prefix is not part of the first one's name.
  const neighbour = text.slice(nameAt, end + PLACEHOLDER_PREFIX.length).indexOf(PLACEHOLDER_PREFIX);
  return { start, end: neighbour < 0 ? end : Math.min(end, nameAt + neighbour) };
}

function aliasToken(text: string, marker: number, from: number): Span {
  let start = marker;
  while (start > from && ALIAS_PREFIX_CHARACTER.test(text.charAt(start - 1))) start--;
  // A name that runs on with "-", "." or "~" is part of a longer word: take it whole, so that it is refused.
  return { start, end: endOfRun(ALIAS_CHARACTERS, text, marker + ALIAS_MARKER.length) };
}

function endOfRun(run: RegExp, text: string, from: number): number {
  run.lastIndex = from;
  run.test(text);
  return run.lastIndex;
}

/**
 * Whether a text holds a marker: written plainly, percent-encoded in any case and to any depth, or with the
 * escapes of a JSON string. Linear in the length of the text.
 *
 * Accepted weakness: any other coding (Base64 outside of Basic credentials, UTF-16, a cipher of the agent's
 * own) is not looked through. What can leave that way is a placeholder and never a value, because nothing is
 * replaced in what was not decoded.
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
 * A text decoded until nothing is left to decode, one character for one byte of UTF-8.
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

/** What an ASCII character is worth as a hexadecimal digit; -1 where it is none. */
export function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
