/** A unified diff of two texts, by lines. */

/** Unchanged lines shown around a change. */
const CONTEXT_LINES = 3;

/** Most lines in which two texts may differ; beyond it the middle is shown as replaced as a whole. */
const MAX_DIFFERENCES = 4000;

type Change = { readonly kind: ' ' | '-' | '+'; readonly line: string };

const COLOURS = { '-': '\u001b[31m', '+': '\u001b[32m', '@': '\u001b[36m' } as const;
const RESET = '\u001b[0m';

/** Empty where the texts are equal. */
export function unifiedDiff(file: string, before: string, after: string, colour: boolean): string {
  if (before === after) return '';
  const changes = compareLines(splitLines(before), splitLines(after));
  const paint = (mark: keyof typeof COLOURS, text: string) =>
    colour ? `${COLOURS[mark]}${text}${RESET}` : text;
  const lines = [paint('-', `--- ${file}`), paint('+', `+++ ${file} (injected)`)];
  for (const { from, to } of hunks(changes)) {
    const count = (kinds: string, end: number, start = 0) =>
      changes.slice(start, end).filter(({ kind }) => kinds.includes(kind)).length;
    const oldStart = count(' -', from) + 1;
    const newStart = count(' +', from) + 1;
    const oldLength = count(' -', to, from);
    const newLength = count(' +', to, from);
    lines.push(paint('@', `@@ -${oldStart},${oldLength} +${newStart},${newLength} @@`));
    for (const { kind, line } of changes.slice(from, to)) {
      lines.push(kind === ' ' ? ` ${line}` : paint(kind, `${kind}${line}`));
    }
  }
  return `${lines.join('\n')}\n`;
}

function splitLines(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines[lines.length - 1] === '') lines.pop();
  return lines;
}

/** Ranges of changes that belong together, with their context. */
function hunks(changes: readonly Change[]): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  changes.forEach(({ kind }, index) => {
    if (kind === ' ') return;
    const from = Math.max(0, index - CONTEXT_LINES);
    const to = Math.min(changes.length, index + CONTEXT_LINES + 1);
    const last = found[found.length - 1];
    if (last !== undefined && from <= last.to) last.to = to;
    else found.push({ from, to });
  });
  return found;
}

/** Shortest edit script by Myers' greedy search, after equal heads and tails are set aside. */
function compareLines(before: readonly string[], after: readonly string[]): Change[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  ) {
    tail++;
  }
  const keep = (line: string): Change => ({ kind: ' ', line });
  return [
    ...before.slice(0, head).map(keep),
    ...search(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...before.slice(before.length - tail).map(keep),
  ];
}

function search(before: readonly string[], after: readonly string[]): Change[] {
  const reach = new Map<number, number>([[1, 0]]);
  const history: Map<number, number>[] = [];
  for (let distance = 0; distance <= Math.min(before.length + after.length, MAX_DIFFERENCES); distance++) {
    history.push(new Map(reach));
    for (let diagonal = -distance; diagonal <= distance; diagonal += 2) {
      let x = step(reach, diagonal, distance);
      while (x < before.length && x - diagonal < after.length && before[x] === after[x - diagonal]) x++;
      reach.set(diagonal, x);
      if (x >= before.length && x - diagonal >= after.length) return trace(history, before, after);
    }
  }
  return [
    ...before.map((line): Change => ({ kind: '-', line })),
    ...after.map((line): Change => ({ kind: '+', line })),
  ];
}

/** Furthest line of `before` on a diagonal, reached by taking a line from the one side or the other. */
function step(reach: ReadonlyMap<number, number>, diagonal: number, distance: number): number {
  const down = reach.get(diagonal + 1) ?? 0;
  const right = (reach.get(diagonal - 1) ?? 0) + 1;
  if (diagonal === -distance) return down;
  return diagonal === distance || right > down ? right : down;
}

function trace(
  history: readonly ReadonlyMap<number, number>[],
  before: readonly string[],
  after: readonly string[],
): Change[] {
  const changes: Change[] = [];
  let x = before.length;
  let y = after.length;
  for (let distance = history.length - 1; distance >= 0; distance--) {
    const reach = history[distance] ?? new Map<number, number>();
    const diagonal = x - y;
    const start = step(reach, diagonal, distance);
    const isDown =
      diagonal === -distance ||
      (diagonal !== distance && (reach.get(diagonal - 1) ?? 0) + 1 <= (reach.get(diagonal + 1) ?? 0));
    while (x > start && y > start - diagonal) {
      x--;
      y--;
      changes.push({ kind: ' ', line: before[x] ?? '' });
    }
    if (distance === 0) break;
    if (isDown) {
      y--;
      changes.push({ kind: '+', line: after[y] ?? '' });
    } else {
      x--;
      changes.push({ kind: '-', line: before[x] ?? '' });
    }
  }
  return changes.reverse();
}
