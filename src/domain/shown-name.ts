/**
 * Names that a person wrote into a file, made fit for an error message. A field's name is what an error must
 * say, and it is also where a pasted token ends up (`glpat-…: {source: …}`): a name is shown only where it reads
 * as words, and is otherwise found by the line and column of the message.
 *
 * Accepted weakness: a password of a few plain words cannot be told from a name.
 */

/** Characters of the longest name that is shown. */
const MAX_SHOWN = 48;
/** Characters between two separators: `providerProfileKeys` has 19, what follows the prefix of a token has more. */
const MAX_PART = 20;
/** Digits in all: `AWS_KEY_2` has one, a token of 20 characters usually more than four. */
const MAX_DIGITS = 4;
/** A name without separators that reads as words: capitals, small letters or camelCase of at most four words, with a number at the end. */
const WORDS = /^[0-9]?([A-Z]{1,16}|[A-Z]?[a-z]+([A-Z][a-z]+){0,3})?[0-9]{0,4}$/;
/** A part between separators: nobody writes camelCase there, and what follows `ghp_` often looks like it. */
const WORD = /^([A-Z]{1,16}|[A-Z]?[a-z]+)?[0-9]{0,4}$/;

/** The name itself, or `<name>` where it could be a secret. */
export function shownName(name: string): string {
  const parts = name.split(/[-._]/);
  const digits = name.replaceAll(/[^0-9]/g, '').length;
  const words = parts.length === 1 ? WORDS : WORD;
  const reads = parts.every((part) => part.length <= MAX_PART && words.test(part));
  return name !== '' && name.length <= MAX_SHOWN && digits <= MAX_DIGITS && reads ? name : '<name>';
}
