/** Text for a log: `[CREDENTIAL]` in place of each placeholder. No I/O, no clock, no values. */
import { hasMarker } from './placeholder-marker.ts';
import { rewritePathText } from './placeholder-path.ts';
import { type Lookup, REDACTED, replacePlain } from './placeholder-text.ts';

/**
 * Redacts a text. A placeholder is no secret, yet its handle names a credential for as long as the sandbox
 * lives, so it does not belong in a log. A text that hides a marker in an encoding is redacted as a whole.
 */
export function redactPlaceholders(text: string): string {
  if (!hasMarker(text)) return text;
  const redacted = replacePlain(text, 'request', standIn, (value) => value);
  return redacted.kind === 'refused' ? REDACTED : redacted.value;
}

/** Redacts a request target. The query is left out: people put secrets of their own there. */
export function redactTarget(target: string): string {
  const question = target.indexOf('?');
  const path = redactPath(question < 0 ? target : target.slice(0, question)) ?? REDACTED;
  return question < 0 ? path : `${path}?[QUERY]`;
}

/** A path with its placeholders cut out, or undefined where a marker is hidden so well that it cannot be. */
export function redactPath(path: string): string | undefined {
  const redacted = rewritePathText(path, standIn);
  return redacted.kind === 'refused' ? undefined : redacted.redacted;
}

const standIn: Lookup = () => ({ kind: 'resolved', key: '', text: REDACTED });
