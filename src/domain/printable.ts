/**
 * Names that others chose (processes, mount points, keys, files), made fit for a terminal and a log that is read in one:
 * control characters, line separators and invisible format characters such as those that change the direction of text.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = (character.codePointAt(0) ?? 0).toString(16);
    return code.length > 2 ? `\\u{${code}}` : `\\x${code.padStart(2, '0')}`;
  });
}

/** The same for a text of several lines, which keeps its line breaks and tabs. */
export function printableLines(text: string): string {
  const parts = text.split(/(\r?\n|\t)/);
  return parts.map((part, at) => (at % 2 === 0 ? printable(part) : part)).join('');
}
