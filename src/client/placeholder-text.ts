/** Replaces placeholders in plain and in percent-encoded text. No I/O, no clock. */

import type { Resolved } from './placeholder-lookup.ts';
import { hasMarker, hexDigit, PERCENT, splitAtPlaceholders } from './placeholder-marker.ts';
import { type Location, type Refusal, type Rewriting, refuse } from './placeholder-refusal.ts';

/** Replaces a placeholder in a log. */
export const REDACTED = '[CREDENTIAL]';

/** Resolves one token of a request to its value. */
export type Lookup = (token: string, location: Location) => Resolved | Refusal;

/** Escapes a value so that it cannot change the structure around it. */
export type Encode = (value: string) => string;

/** Replaces the unencoded placeholders of a text, and refuses the text if any other marker remains. */
export function replacePlain(
  text: string,
  location: Location,
  lookup: Lookup,
  encode: Encode,
): Rewriting<string> {
  if (!hasMarker(text)) return unchanged(text);
  return replace({ text, raw: text, at: (index) => index }, location, lookup, encode);
}

/**
 * Replaces the placeholders of a percent-encoded text after decoding it once. All other bytes are unchanged, so that a
 * signature over them remains valid.
 */
export function replaceEncoded(
  raw: string,
  location: Location,
  lookup: Lookup,
  encode: Encode,
): Rewriting<string> {
  return replace(decodeOnce(raw), location, lookup, encode);
}

/** A text without placeholders. */
export function unchanged(text: string): Rewriting<string> {
  return { kind: 'rewritten', value: text, redacted: text, keys: [] };
}

interface Decoded {
  readonly text: string;
  readonly raw: string;
  /** Index in `raw` of the character at an index of `text`. */
  readonly at: (index: number) => number;
}

function replace(decoded: Decoded, location: Location, lookup: Lookup, encode: Encode): Rewriting<string> {
  const { raw, text, at } = decoded;
  const keys = new Set<string>();
  let value = '';
  let redacted = '';
  let index = 0;
  for (const part of splitAtPlaceholders(text)) {
    const end = index + part.text.length;
    if (part.kind === 'plain') {
      const plain = raw.slice(at(index), at(end));
      value += plain;
      redacted += plain;
    } else {
      const found = lookup(part.text, location);
      if (found.kind === 'refused') return found;
      keys.add(found.key);
      value += encode(found.text);
      redacted += REDACTED;
    }
    index = end;
  }
  // The steps above missed a marker, or a value forms one together with the text around it.
  if (hasMarker(value)) return refuse('unresolved-marker', location);
  return { kind: 'rewritten', value, redacted, keys: [...keys] };
}

/** Decodes one level of percent-encoding, one character per byte: markers are ASCII, and nothing else matters. */
function decodeOnce(raw: string): Decoded {
  if (!raw.includes('%')) return { text: raw, raw, at: (index) => index };
  let text = '';
  const starts: number[] = [];
  for (let index = 0; index < raw.length; ) {
    starts.push(index);
    const isEscape = raw.charCodeAt(index) === PERCENT;
    const high = isEscape ? hexDigit(raw.charCodeAt(index + 1)) : -1;
    const low = isEscape ? hexDigit(raw.charCodeAt(index + 2)) : -1;
    if (high >= 0 && low >= 0) {
      text += String.fromCharCode(high * 16 + low);
      index += 3;
    } else {
      text += raw.charAt(index);
      index += 1;
    }
  }
  return { text, raw, at: (index) => starts[index] ?? raw.length };
}

/** Percent-encodes a value, including every character that has a special meaning in a URL. */
export function encodeForUrl(value: string): string {
  return encodeURIComponent(value).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/**
 * Rewrites the pieces between separators and joins them again. A target of 1 MB may have a million pieces: bisection
 * finds the few that hold a marker without splitting the rest.
 */
export function rewritePieces(
  text: string,
  separator: string,
  rewrite: (piece: string) => Rewriting<string>,
): Rewriting<string> {
  if (!hasMarker(text)) return unchanged(text);
  const middle = text.length >> 1;
  const ahead = text.indexOf(separator, middle);
  const cut = ahead >= 0 ? ahead : text.lastIndexOf(separator, middle);
  if (cut < 0) return rewrite(text);
  const left = rewritePieces(text.slice(0, cut), separator, rewrite);
  if (left.kind === 'refused') return left;
  return joinRewritten(left, separator, rewritePieces(text.slice(cut + 1), separator, rewrite));
}

/** Joins two rewritten pieces; the first refusal wins. */
export function joinRewritten(
  left: Rewriting<string>,
  separator: string,
  right: Rewriting<string>,
): Rewriting<string> {
  if (left.kind === 'refused') return left;
  if (right.kind === 'refused') return right;
  return {
    kind: 'rewritten',
    value: `${left.value}${separator}${right.value}`,
    redacted: `${left.redacted}${separator}${right.redacted}`,
    keys: [...new Set([...left.keys, ...right.keys])],
  };
}
