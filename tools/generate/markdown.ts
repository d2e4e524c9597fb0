/** Tables and text in Markdown, as GitHub reads it. */

/** A table whose cells hold Markdown on one line. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replace(/\s*\n\s*/g, ' ')).join(' | ')} |\n`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('');
}

/** Text without markup but for what stands between backticks. */
export function inline(text: string): string {
  return text
    .split(/(`[^`]+`)/)
    .map((part, at) => (at % 2 === 1 ? part : part.replace(/[\\<*]|(?<!\w)_|_(?!\w)/g, '\\$&')))
    .join('');
}

export function code(text: string): string {
  return `\`${text}\``;
}
