/** Replaces placeholders in query parameter values: decodes each value once, replaces, and encodes it again. */
import { hasMarker } from './placeholder-marker.ts';
import { type Rewriting, refuse } from './placeholder-refusal.ts';
import { encodeForUrl, type Lookup, REDACTED, replaceEncoded, rewritePieces } from './placeholder-text.ts';

/** Rewrites a query (the text after "?") or a form body. A marker in a name, or in a parameter without "=", is refused. */
export function rewriteQueryText(query: string, lookup: Lookup, location: 'query' | 'body' = 'query') {
  return rewritePieces(query, '&', (parameter) => rewriteParameter(parameter, lookup, location));
}

function rewriteParameter(parameter: string, lookup: Lookup, location: 'query' | 'body'): Rewriting<string> {
  const equals = parameter.indexOf('=');
  const name = equals < 0 ? parameter : parameter.slice(0, equals);
  if (hasMarker(name)) return refuse('unresolved-marker', location);
  const value = replaceEncoded(parameter.slice(equals + 1), location, lookup, encodeForUrl);
  if (value.kind === 'refused') return value;
  return {
    kind: 'rewritten',
    value: `${name}=${value.value}`,
    redacted: `${name}=${value.keys.length === 0 ? value.value : REDACTED}`,
    keys: value.keys,
  };
}
