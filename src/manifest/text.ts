/** Offsets, lines and splices of a text that is edited in place and never written anew. */

/** Replaces `start..end` of a text. Several insertions at one offset are made innermost first, then in order. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** How deep in the document the collection is that is added to; 0 for removals. */
  readonly depth: number;
}

/** Offset of the first character of the line that `offset` is in. */
export function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** Offset of the first character of the next line, or the end of the text. An offset at a line's start is in that line. */
export function nextLine(text: string, offset: number): number {
  const newline = text.indexOf('\n', offset);
  return newline < 0 ? text.length : newline + 1;
}

/** Offset behind the line that holds the last character before `end`. */
export function lineEnd(text: string, end: number): number {
  return end > 0 && text[end - 1] === '\n' ? end : nextLine(text, end);
}

/** 0-based column of an offset. A byte order mark has no width. */
export function column(text: string, offset: number): number {
  const start = lineStart(text, offset);
  return offset - start - (start === 0 && text.startsWith('\uFEFF') ? 1 : 0);
}

/** The line ending in use: that of the first line. */
export function lineEnding(text: string): '\n' | '\r\n' {
  const newline = text.indexOf('\n');
  return newline > 0 && text[newline - 1] === '\r' ? '\r\n' : '\n';
}

export function applySplices(text: string, splices: readonly Splice[]): string {
  const ordered = splices
    .map((splice, order) => ({ ...splice, order }))
    .sort((a, b) => a.start - b.start || b.depth - a.depth || a.order - b.order);
  let result = '';
  let at = 0;
  for (const splice of ordered) {
    if (splice.start < at) throw new Error('splices overlap');
    result += text.slice(at, splice.start) + splice.text;
    at = splice.end;
  }
  return result + text.slice(at);
}
