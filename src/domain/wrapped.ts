/** Tables and summaries for a terminal that nobody widened. */

export const COLUMNS = 80;

/**
 * A line as lines of at most 80 columns, those after the first indented. A word that has no room in a line of its own,
 * such as a reference to a Secret, is broken behind `/`, `,`, `:` or `=`.
 */
export function wrapped(line: string, indent: number): string {
  if (line.length <= COLUMNS) return line;
  const [lead = ''] = /^ */.exec(line) ?? [];
  const lines: string[] = [];
  let current = lead;
  const add = (piece: string, glue: string) => {
    if (current.trim() === '') current += piece;
    else if (current.length + glue.length + piece.length <= COLUMNS) current += glue + piece;
    else {
      lines.push(current);
      current = ' '.repeat(indent) + piece;
    }
  };
  for (const word of line.slice(lead.length).split(' ')) {
    const pieces = word.length > COLUMNS - indent ? word.split(/(?<=[/,:=])/) : [word];
    pieces.forEach((piece, at) => {
      add(piece, at === 0 ? ' ' : '');
    });
  }
  return [...lines, current].join('\n');
}
