/** Redacts text for a log: replaces each placeholder with `[CREDENTIAL]`. No I/O, no clock, no values. */
import { hasMarker } from './placeholder-marker.ts';
import { rewritePathText } from './placeholder-path.ts';
import { type Lookup, REDACTED, replacePlain } from './placeholder-text.ts';

/**
 * Redacts a text. A placeholder is not secret, but its handle identifies a credential for the lifetime of the sandbox
 * and does not belong in a log. A text that hides a marker in an encoding is redacted completely.
 */
export function redactPlaceholders(text: string): string {
  if (!hasMarker(text)) return text;
  const redacted = replacePlain(text, 'request', standIn, (value) => value);
  return redacted.kind === 'refused' ? REDACTED : redacted.value;
}

/** Redacts a request target. Omits the query, because people put their own secrets there. */
export function redactTarget(target: string): string {
  const question = target.indexOf('?');
  const path = redactPath(question < 0 ? target : target.slice(0, question)) ?? REDACTED;
  return question < 0 ? path : `${path}?[QUERY]`;
}

/** The path without its placeholders; undefined if an encoded marker cannot be removed. */
export function redactPath(path: string): string | undefined {
  const redacted = rewritePathText(path, standIn);
  return redacted.kind === 'refused' ? undefined : redacted.redacted;
}

const standIn: Lookup = () => ({ kind: 'resolved', key: '', text: REDACTED });
