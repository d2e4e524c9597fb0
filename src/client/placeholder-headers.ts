/**
 * Placeholders in a header value: the whole value, the token of `<scheme> <token>`, or inside `Basic` credentials.
 *
 * Header values hold one character per byte, as in Node's HTTP and `fetch`. Non-ASCII characters of a credential are
 * written as their UTF-8 bytes.
 */
import { hasMarker, SHORTEST_MARKER, splitAtPlaceholders } from './placeholder-marker.ts';
import { type Rewriting, refuse } from './placeholder-refusal.ts';
import { type Lookup, REDACTED, replacePlain, unchanged } from './placeholder-text.ts';

/**
 * Separates the scheme from the credentials: any character that some server treats as a space. HTTP allows only space
 * and tab, but a server that splits the header as text (Python's `split()`) also accepts U+0085 and U+00A0.
 */
const BASIC = /^[\s\x1c-\x1f\x85]*(basic[\s\x1c-\x1f\x85]+)(.*)$/is;
const SCHEME_AND_TOKEN = /^([^\s]+[ \t]+)([^\s]+)$/;

/** Base64 that all decoders read alike, with or without padding. */
const ONE_BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Rewrites one header value. A marker outside those three places is refused. */
export function rewriteHeaderValue(value: string, lookup: Lookup): Rewriting<string> {
  const trimmed = value.trim();
  const [, basic, credentials] = BASIC.exec(trimmed) ?? [];
  if (basic !== undefined && credentials !== undefined && !hasMarker(credentials)) {
    return rewriteBasic(value, basic, credentials, lookup);
  }
  if (!hasMarker(value))
    return hidesBasic(trimmed) ? refuse('unresolved-marker', 'header') : unchanged(value);
  const [, scheme = '', token = trimmed] = SCHEME_AND_TOKEN.exec(trimmed) ?? [];
  const parts = splitAtPlaceholders(token);
  if (hasMarker(scheme) || parts.length !== 1 || parts[0]?.kind !== 'token') {
    return refuse('unresolved-marker', 'header');
  }
  const found = lookup(token, 'header');
  if (found.kind === 'refused') return found;
  return {
    kind: 'rewritten',
    value: `${scheme}${utf8AsLatin1(found.text)}`,
    redacted: `${scheme}${REDACTED}`,
    keys: [found.key],
  };
}

/** Whether a marker is in Basic credentials after a comma: some proxies join two Authorization headers with one. */
function hidesBasic(value: string): boolean {
  return value
    .split(',')
    .slice(1)
    .some((part) => {
      const [, basic, credentials] = BASIC.exec(part.trim()) ?? [];
      if (basic === undefined || credentials === undefined) return false;
      return (
        rewriteBasic(part, basic, credentials, () => refuse('unresolved-marker', 'header')).kind === 'refused'
      );
    });
}

/**
 * Decoders differ on padding in the middle, invalid characters and the URL-safe alphabet: one may read a user name
 * where another reads a placeholder. Credentials that are not canonical Base64 are never rewritten, and are refused if
 * any decoder could find a marker in them.
 */
function rewriteBasic(value: string, scheme: string, credentials: string, lookup: Lookup): Rewriting<string> {
  const bytes = Buffer.from(credentials, 'base64');
  // One character per byte, so that a user name in any charset is preserved.
  const decoded = bytes.toString('latin1');
  if (bytes.toString('base64') !== credentials) {
    const suspect = ONE_BASE64.test(credentials)
      ? hasMarker(decoded)
      : credentials.length > (SHORTEST_MARKER * 4) / 3;
    return suspect ? refuse('unresolved-marker', 'header') : unchanged(value);
  }
  const inside = replacePlain(decoded, 'header', lookup, utf8AsLatin1);
  if (inside.kind === 'refused') return inside;
  if (inside.keys.length === 0) return unchanged(value);
  return {
    kind: 'rewritten',
    value: `${scheme}${Buffer.from(inside.value, 'latin1').toString('base64')}`,
    redacted: `${scheme}${REDACTED}`,
    keys: inside.keys,
  };
}

function utf8AsLatin1(value: string): string {
  return Buffer.from(value, 'utf8').toString('latin1');
}
