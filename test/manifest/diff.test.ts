import fc from 'fast-check';
import { expect, it } from 'vitest';
import { unifiedDiff } from '../../src/manifest/diff.ts';

/** Applies a unified diff to a text, and checks that what it calls unchanged or removed exists. */
function patch(before: string, diff: string): string {
  const lines = before.split('\n').slice(0, -1);
  const result: string[] = [];
  let at = 0;
  for (const line of diff.split('\n').slice(2, -1)) {
    const hunk = /^@@ -(\d+),(\d+) \+\d+,\d+ @@$/.exec(line);
    if (hunk !== null) {
      // A hunk without lines of the old text names the line before it.
      const start = Number(hunk[1]) - (hunk[2] === '0' ? 0 : 1);
      result.push(...lines.slice(at, start));
      at = start;
    } else if (line.startsWith('+')) result.push(line.slice(1));
    else {
      expect(lines[at]).toBe(line.slice(1));
      if (line.startsWith(' ')) result.push(line.slice(1));
      at++;
    }
  }
  return [...result, ...lines.slice(at)].map((line) => `${line}\n`).join('');
}

it('is a patch that makes the one text of the other', () => {
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 30 })
    .map((lines) => lines.map((line) => `${line}\n`).join(''));
  fc.assert(
    fc.property(text, text, (before, after) => {
      const diff = unifiedDiff('f', before, after, false);
      expect(diff === '' ? before : patch(before, diff)).toBe(after);
    }),
    { numRuns: 1000 },
  );
});

it('is empty for equal texts, and coloured where asked for', () => {
  expect(unifiedDiff('f', 'a\n', 'a\n', true)).toBe('');
  expect(unifiedDiff('f', 'a\n', 'b\n', true)).toContain('\u001b[31m-a\u001b[0m\n\u001b[32m+b\u001b[0m');
});
