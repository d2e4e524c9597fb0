/**
 * The text that the agent sees instead of a credential. No I/O, no clock, no values.
 *
 *   canonical   openshell:resolve:env:KEY
 *   revision    openshell:resolve:env:v<digits>_KEY
 *   handle      openshell:resolve:env:s<64 hex>_KEY
 *   alias       <prefix>OPENSHELL-RESOLVE-ENV-<any of the three names above>
 *
 * Aliases exist because some clients check the format of a token (`xoxb-…`) before they send it.
 */
import { ENVIRONMENT_NAME, MAX_KEY_BYTES, UNSERVABLE_NAME } from '../domain/names.ts';

/** The prefix of every placeholder except an alias. */
export const PLACEHOLDER_PREFIX = 'openshell:resolve:env:';

/** The fixed part of an alias, between its prefix and its name. */
export const ALIAS_MARKER = 'OPENSHELL-RESOLVE-ENV-';

/** Largest revision: it is a u64 on the wire. */
const MAX_REVISION = 2n ** 64n - 1n;

const HANDLE = /^[0-9a-f]{64}$/;
const HANDLE_NAME = /^s([0-9a-f]{64})_(.*)$/s;
/** Each revision has one spelling: `v007_` would be a second one for `v7_`. */
const REVISION_NAME = /^v(0|[1-9][0-9]{0,19})_(.*)$/s;
const ALIAS_PREFIX = /^[A-Za-z0-9_.~-]+$/;

/** The three ways in which a placeholder names a credential. */
export type CredentialName =
  | { readonly form: 'canonical'; readonly key: string }
  | { readonly form: 'revision'; readonly key: string; readonly revision: bigint }
  | { readonly form: 'handle'; readonly key: string; readonly handle: string };

/** A parsed placeholder. */
export type Placeholder =
  | CredentialName
  | { readonly form: 'alias'; readonly prefix: string; readonly name: CredentialName };

/** Whether a placeholder can name this credential unambiguously. */
export function isPlaceholderKey(key: string): boolean {
  return key.length <= MAX_KEY_BYTES && ENVIRONMENT_NAME.test(key) && !UNSERVABLE_NAME.test(key);
}

/** Parses a text; undefined if it is not exactly one well-formed placeholder. */
export function parsePlaceholder(text: string): Placeholder | undefined {
  if (text.startsWith(PLACEHOLDER_PREFIX)) return parseName(text.slice(PLACEHOLDER_PREFIX.length));
  const marker = text.indexOf(ALIAS_MARKER);
  const prefix = text.slice(0, Math.max(marker, 0));
  if (!ALIAS_PREFIX.test(prefix)) return undefined;
  const name = parseName(text.slice(marker + ALIAS_MARKER.length));
  return name && { form: 'alias', prefix, name };
}

/**
 * The text of a placeholder. Throws RangeError if the parts would not parse back to the same: an invalid key, a handle
 * that is not 64 lowercase hex digits, a revision outside u64, or an empty prefix.
 */
export function formatPlaceholder(placeholder: Placeholder): string {
  const text =
    placeholder.form === 'alias'
      ? `${placeholder.prefix}${ALIAS_MARKER}${formatName(placeholder.name)}`
      : `${PLACEHOLDER_PREFIX}${formatName(placeholder)}`;
  if (parsePlaceholder(text)?.form !== placeholder.form) {
    throw new RangeError(`these parts do not form a valid ${placeholder.form} placeholder`);
  }
  return text;
}

/** The name inside a placeholder: the part after the marker of an alias, or after the prefix of any other form. */
export function nameOf(placeholder: Placeholder): CredentialName {
  return placeholder.form === 'alias' ? placeholder.name : placeholder;
}

function formatName(name: CredentialName): string {
  switch (name.form) {
    case 'canonical':
      return name.key;
    case 'revision':
      return `v${name.revision}_${name.key}`;
    case 'handle':
      if (!HANDLE.test(name.handle)) throw new RangeError('a handle is 64 lowercase hexadecimal digits');
      return `s${name.handle}_${name.key}`;
  }
}

function parseName(text: string): CredentialName | undefined {
  const [, handle, handleKey] = HANDLE_NAME.exec(text) ?? [];
  if (handle !== undefined && handleKey !== undefined) {
    return isPlaceholderKey(handleKey) ? { form: 'handle', key: handleKey, handle } : undefined;
  }
  const [, digits, revisionKey] = REVISION_NAME.exec(text) ?? [];
  if (digits !== undefined && revisionKey !== undefined) {
    const revision = BigInt(digits);
    if (revision > MAX_REVISION || !isPlaceholderKey(revisionKey)) return undefined;
    return { form: 'revision', key: revisionKey, revision };
  }
  return isPlaceholderKey(text) ? { form: 'canonical', key: text } : undefined;
}
