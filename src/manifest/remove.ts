/** Takes parts out of the source text: the inverse of insert.ts, byte for byte. */
import { isCollection, isMap, isSeq, type YAMLMap, type YAMLSeq } from 'yaml';
import { asMap, type Data, type Path, startsWith, valueAt } from './data.ts';
import { contentEnd, startOf } from './insert.ts';
import type { PodTemplate } from './kinds.ts';
import { ownPair } from './stream.ts';
import { lineEnd, lineStart, type Splice } from './text.ts';

/**
 * Parts to take out, once enclosing fields that were created for them and hold nothing else are counted in.
 * Paths are relative to the pod template.
 */
export function rollUp(template: Data, parts: readonly Path[], created: readonly Path[]): readonly Path[] {
  const byParent = Map.groupBy(parts, (path) => JSON.stringify(path.slice(0, -1)));
  for (const [first = [], ...others] of byParent.values()) {
    const parent = first.slice(0, -1);
    const wasCreated = created.some((made) => startsWith(parent, made));
    if (parent.length === 0 || !wasCreated || sizeOf(valueAt(template, parent)) > others.length + 1) continue;
    const rest = parts.filter((path) => path !== first && !others.includes(path));
    return rollUp(template, [...rest, parent], created);
  }
  return parts;
}

/** Splices that take the parts out of a document. */
export function planRemovals(
  text: string,
  { document, path: root }: Pick<PodTemplate, 'document' | 'path'>,
  parts: readonly Path[],
): Splice[] {
  const found = parts.map((part) => {
    const key = part[part.length - 1];
    const parent = document.node.getIn([...root, ...part.slice(0, -1)], true);
    if (isSeq(parent)) return { parent, index: Number(key) };
    const pair = isMap(parent) ? ownPair(parent, String(key)) : undefined;
    if (!isMap(parent) || pair === undefined) throw new Error('a part to remove is not in the text');
    return { parent, index: parent.items.indexOf(pair) };
  });
  return [...Map.groupBy(found, ({ parent }) => parent)].flatMap(([parent, members]) => {
    const indexes = members.map(({ index }) => index);
    return parent.flow
      ? removeFlow(parent, new Set(indexes))
      : indexes.map((index) => removeBlock(text, parent, index));
  });
}

/** The template without the parts. A block collection that is emptied and not removed reads as null from then on. */
export function withoutParts({ document, path: root, data }: PodTemplate, parts: readonly Path[]): Data {
  const copy = structuredClone(data) as Record<string, unknown>;
  // Highest index first, so that the others keep their places.
  const ordered = [...parts].sort((a, b) => Number(b[b.length - 1]) - Number(a[a.length - 1]) || 0);
  for (const part of ordered) {
    const parent = valueAt(copy, part.slice(0, -1));
    const key = part[part.length - 1];
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else delete (parent as Record<string, unknown>)[String(key)];
  }
  for (const part of parts) {
    const path = part.slice(0, -1);
    const holder = path[path.length - 1];
    const node = document.node.getIn([...root, ...path], true);
    if (holder === undefined || sizeOf(valueAt(copy, path)) > 0 || !isCollection(node) || node.flow) continue;
    (valueAt(copy, path.slice(0, -1)) as Record<string | number, unknown>)[holder] = null;
  }
  return copy;
}

function removeBlock(text: string, parent: YAMLMap | YAMLSeq, index: number): Splice {
  const item = parent.items[index];
  const start = startOf(item);
  const next = parent.items[index + 1];
  // The first field of a list's item shares its line with the dash, which the next one takes over.
  if (isMap(parent) && next !== undefined && text.slice(lineStart(text, start), start).trim() !== '')
    return { start, end: startOf(next), depth: 0, text: '' };
  return { start: lineStart(text, start), end: lineEnd(text, contentEnd(item)), depth: 0, text: '' };
}

/** Whole runs of neighbours, each with the comma and white space that was added with it. */
function removeFlow(parent: YAMLMap | YAMLSeq, indexes: ReadonlySet<number>): Splice[] {
  const { items } = parent;
  const splices: Splice[] = [];
  for (let index = 0; index < items.length; index++) {
    if (!indexes.has(index)) continue;
    const from = index;
    while (indexes.has(index + 1)) index++;
    const before = items[from - 1];
    const after = items[index + 1];
    const start = before === undefined ? startOf(items[from]) : contentEnd(before);
    const end = before === undefined && after !== undefined ? startOf(after) : contentEnd(items[index]);
    splices.push({ start, end, depth: 0, text: '' });
  }
  return splices;
}

function sizeOf(value: unknown): number {
  return Array.isArray(value) ? value.length : Object.keys(asMap(value)).length;
}
