/** The text with other content between two marks. */
export function between(text: string, begin: string, end: string, content: string): string {
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end, from);
  if (from < begin.length || to < 0) throw new Error(`no marks for what is generated: ${begin.trim()}`);
  return text.slice(0, from) + content + text.slice(to);
}
