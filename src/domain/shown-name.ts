/**
 * Makes the names in a user's file safe for an error message. The message must name the field, but a token may have
 * been pasted there (`glpat-…: {source: …}`). So a name is shown only if it reads as words; otherwise the message's
 * line and column locate it.
 *
 * Accepted weakness: a password of a few plain words looks like a name.
 */

/** Longest name that is shown, in characters. */
const MAX_SHOWN = 48;
/** Longest part between two separators, in characters: `providerProfileKeys` has 19, the random part of a token more. */
const MAX_PART = 20;
/** Most digits in a name: `AWS_KEY_2` has one, a token of 20 characters usually more than four. */
const MAX_DIGITS = 4;
/** A name without separators that reads as words: capitals, small letters or camelCase of at most four words, with a number at the end. */
const WORDS = /^[0-9]?([A-Z]{1,16}|[A-Z]?[a-z]+([A-Z][a-z]+){0,3})?[0-9]{0,4}$/;
/** A part between separators. No camelCase: it is not used there, and the rest of a token after `ghp_` often looks like it. */
const WORD = /^([A-Z]{1,16}|[A-Z]?[a-z]+)?[0-9]{0,4}$/;

/** The name itself, or `<name>` where it could be a secret. */
export function shownName(name: string): string {
  const parts = name.split(/[-._]/);
  const digits = name.replaceAll(/[^0-9]/g, '').length;
  const words = parts.length === 1 ? WORDS : WORD;
  const reads = parts.every((part) => part.length <= MAX_PART && words.test(part));
  return name !== '' && name.length <= MAX_SHOWN && digits <= MAX_DIGITS && reads ? name : '<name>';
}
