/** A unified diff of a file before and after inject. */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from 'diff';

const COLOURS: Readonly<Record<string, string>> = { '-': '\u001b[31m', '+': '\u001b[32m', '@': '\u001b[36m' };
const RESET = '\u001b[0m';

/** Empty where the texts are equal. */
export function unifiedDiff(file: string, before: string, after: string, colour: boolean): string {
  if (before === after) return '';
  const options = { context: 3, headerOptions: FILE_HEADERS_ONLY };
  const diff = createTwoFilesPatch(file, `${file} (injected)`, before, after, undefined, undefined, options);
  if (!colour) return diff;
  const paint = (line: string) => {
    const start = COLOURS[line[0] ?? ''];
    return start === undefined ? line : `${start}${line}${RESET}`;
  };
  return diff.split('\n').map(paint).join('\n');
}
