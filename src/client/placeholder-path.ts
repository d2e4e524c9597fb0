/** Replaces placeholders in path segments: decodes each segment once, replaces, and encodes it again. */
import { decodeFully } from './placeholder-marker.ts';
import { type Rewriting, refuse } from './placeholder-refusal.ts';
import { encodeForUrl, type Lookup, replaceEncoded, rewritePieces } from './placeholder-text.ts';

/** Rewrites a path without its query. A value must not add or remove a segment, or lead to a parent. */
export function rewritePathText(path: string, lookup: Lookup): Rewriting<string> {
  return rewritePieces(path, '/', (segment) => rewriteSegment(segment, lookup));
}

function rewriteSegment(segment: string, lookup: Lookup): Rewriting<string> {
  const rewritten = replaceEncoded(segment, 'path', lookup, encodeForPath);
  if (rewritten.kind === 'refused' || rewritten.keys.length === 0) return rewritten;
  // A "." is harmless as a value, but not as a whole segment or next to another dot.
  if (/^\.{1,2}$/.test(decodeFully(rewritten.value))) {
    return refuse('value-changes-path', 'path', rewritten.keys[0]);
  }
  return rewritten;
}

/** Keeps ":" and "@", which have no special meaning in a segment: some servers expect them unencoded in path tokens. */
export function encodeForPath(value: string): string {
  return encodeForUrl(value).replaceAll('%3A', ':').replaceAll('%40', '@');
}
