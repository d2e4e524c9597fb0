/**
 * Names that a person wrote into a file, made fit for an error message. A field's name is what an error must
 * say, and it is also where a pasted token ends up (`glpat-…: {source: …}`): a name is shown only where it reads
 * as words, and is otherwise found by the line and column of the message.
 *
 * Accepted weakness: a password of a few plain words cannot be told from a name.
 */

/** Characters of the longest name that is shown. */
const MAX_SHOWN = 48;
/** Words, told apart by separators, capitals and digits: a random token changes between these all the time. */
const MAX_WORDS = 6;
/** Digits in all: `AWS_KEY_2` has one, a token of 20 characters usually more than four. */
const MAX_DIGITS = 4;

/** The name itself, or `<name>` where it could be a secret. */
export function shownName(name: string): string {
  if (name.length > MAX_SHOWN || !/^[-._A-Za-z0-9]+$/.test(name)) return '<name>';
  const words = name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+/g) ?? [];
  const digits = name.replaceAll(/[^0-9]/g, '').length;
  return words.length > MAX_WORDS || digits > MAX_DIGITS ? '<name>' : name;
}
