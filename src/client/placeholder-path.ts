/** Placeholders within the segments of a path: decoded once, replaced, encoded. */
import { decodeFully } from './placeholder-marker.ts';
import { type Rewriting, refuse } from './placeholder-refusal.ts';
import { encodeForUrl, type Lookup, replaceEncoded, rewritePieces } from './placeholder-text.ts';

/** Rewrites a path without its query. A value may not add, remove or climb a segment. */
export function rewritePathText(path: string, lookup: Lookup): Rewriting<string> {
  return rewritePieces(path, '/', (segment) => rewriteSegment(segment, lookup));
}

function rewriteSegment(segment: string, lookup: Lookup): Rewriting<string> {
  const rewritten = replaceEncoded(segment, 'path', lookup, encodeForPath);
  if (rewritten.kind === 'refused' || rewritten.keys.length === 0) return rewritten;
  // A lone "." is harmless as a value and climbs a path as a segment, or next to another one.
  if (/^\.{1,2}$/.test(decodeFully(rewritten.value))) {
    return refuse('value-changes-path', 'path', rewritten.keys[0]);
  }
  return rewritten;
}

/** ":" and "@" have no meaning within a segment, and some servers with tokens in their paths want to see them. */
function encodeForPath(value: string): string {
  return encodeForUrl(value).replaceAll('%3A', ':').replaceAll('%40', '@');
}
