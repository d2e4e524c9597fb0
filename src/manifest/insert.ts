/**
 * Additions → splices of the source text. The text is never written anew from the parsed document: that would
 * re-wrap, re-quote and re-indent what people wrote. Every byte outside the splices stays.
 */
import {
  Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { ConfigError } from '../domain/errors.ts';
import { asList, asMap, type Data, type Path } from './data.ts';
import type { PodTemplate } from './kinds.ts';
import { ownPair } from './stream.ts';
import { offsetOf } from './syntax.ts';
import { column, lineEnd, lineEnding, lineStart, nextLine, type Splice } from './text.ts';

/** Why a place cannot be added to, and what to do. */
const PROBLEMS = {
  alias: {
    message: 'is an alias, so an addition would appear where its anchor is too',
    hint: 'write the content out here',
  },
  anchor: {
    message: 'is an anchor that is used in another place, where an addition would appear too',
    hint: 'write the content out in both places',
  },
  merged: { message: 'comes from a merge key and cannot be added to', hint: 'write the field out here' },
  null: { message: 'is null', hint: 'take the field out, or write [] or {}' },
  type: {
    message: 'has the wrong type',
    hint: 'write a list where Kubernetes has a list, and a map where it has a map',
  },
} as const;

/**
 * Splices by which the template reads as `model`, which has more fields and longer lists, and shares with the data of
 * the document what stays as it is. Throws {@link ConfigError} for a node that the document uses in a second place.
 */
export function planInsertions(
  text: string,
  { document, path: root, data }: PodTemplate,
  model: Data,
): Splice[] {
  const splices: Splice[] = [];
  const aliased = new Set<string>();
  visit(document.node, {
    Alias: (_key, { source }) => {
      aliased.add(source);
    },
  });
  const refusal = (problem: keyof typeof PROBLEMS, path: Path) => {
    const { message, hint } = PROBLEMS[problem];
    return new ConfigError([document.issueAt(path, message, hint)]);
  };
  const single = (node: unknown, path: Path): Node => {
    if (isAlias(node)) throw refusal('alias', path);
    if (!isNode(node)) throw refusal('null', path);
    if ('anchor' in node && node.anchor !== undefined && aliased.has(node.anchor))
      throw refusal('anchor', path);
    return node;
  };
  const child = (node: Node, path: Path): Node => {
    const part = path[path.length - 1];
    if (isSeq(node)) return single(node.items[Number(part)], path);
    const pair = isMap(node) ? ownPair(node, String(part)) : undefined;
    if (pair === undefined) throw refusal('merged', path);
    return single(pair.value, path);
  };
  const extend = (node: Node, before: unknown, after: unknown, path: Path): void => {
    const extendPart = (part: string | number, old: unknown, value: unknown) => {
      if (!Object.is(old, value)) extend(child(node, [...path, part]), old, value, [...path, part]);
    };
    if (isScalar(node) && node.value === null) {
      const splice = fillNull(text, node, after, path.length);
      if (splice === undefined) throw refusal('null', path);
      splices.push(splice);
    } else if (Array.isArray(after) && isSeq(node)) {
      const old = asList(before);
      old.forEach((item, index) => {
        extendPart(index, item, after[index]);
      });
      const items = after.slice(old.length);
      if (items.length > 0) splices.push(addTo(text, node, items, path.length));
    } else if (!Array.isArray(after) && isMap(node)) {
      const old = asMap(before);
      const entries = Object.entries(asMap(after));
      for (const [key, value] of entries) if (old[key] !== undefined) extendPart(key, old[key], value);
      const fields = entries.filter(([key]) => old[key] === undefined).toSorted(shortFirst);
      if (fields.length > 0) splices.push(addTo(text, node, Object.fromEntries(fields), path.length));
    } else throw refusal('type', path);
  };
  let node = single(document.node.contents, []);
  root.forEach((_, index) => {
    node = child(node, root.slice(0, index + 1));
  });
  extend(node, data, model, root);
  return splices;
}

/** Fields with one value before lists and maps, behind which they would be overlooked. */
function shortFirst([, one]: [string, unknown], [, other]: [string, unknown]): number {
  return Number(typeof one === 'object') - Number(typeof other === 'object');
}

/** Items into a list, or fields into a map. */
function addTo(
  text: string,
  into: YAMLMap | YAMLSeq,
  value: readonly unknown[] | Data,
  depth: number,
): Splice {
  if (!into.flow) return blockSplice(text, into, value, depth);
  const json = (part: unknown) => renderJson(text, into, part);
  const rendered = Array.isArray(value)
    ? value.map(json)
    : Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}: ${json(part)}`);
  return flowSplice(text, into, rendered);
}

/** Behind the last line of a block collection, and behind comments that stand deeper than its own column. */
function blockSplice(text: string, into: Node, value: unknown, depth: number): Splice {
  // The column of the keys of a map, or of the dashes of a list.
  const indent = column(text, startOf(into));
  let start = lineEnd(text, contentEnd(into));
  for (;;) {
    const next = nextLine(text, start);
    const comment = /^( *)#/.exec(text.slice(start, next));
    if (comment === null || (comment[1] ?? '').length <= indent) break;
    start = next;
  }
  return { start, end: start, depth, text: renderBlock(text, value, indent) };
}

/** Offset of an item of a list, or of the key of a map's. */
export function startOf(item: unknown): number {
  return offsetOf(isPair(item) ? item.key : item) ?? 0;
}

/** Offset behind the last character of an item or a node that is not a comment or blank. */
export function contentEnd(item: unknown): number {
  if (isPair(item)) return contentEnd(item.value ?? item.key);
  const last = isCollection(item) && !item.flow ? item.items.at(-1) : undefined;
  if (last !== undefined) return contentEnd(last);
  return isNode(item) ? (item.range?.[1] ?? 0) : 0;
}

/** `volumes:` with nothing behind it gets its content on the next line. Undefined for a written `null`. */
function fillNull(text: string, node: Node, value: unknown, depth: number): Splice | undefined {
  const [start = 0, end = 0] = node.range ?? [];
  const offset = nextLine(text, start);
  if (end > start || !/^[ \t]*(#.*)?\r?\n?$/.test(text.slice(start, offset))) return undefined;
  const lineIndent = /^[ ]*(- +)*/.exec(text.slice(lineStart(text, start)))?.[0].length ?? 0;
  const indent = lineIndent + (Array.isArray(value) && !indentsLists(text) ? 0 : 2);
  return { start: offset, end: offset, depth, text: renderBlock(text, value, indent) };
}

/** Block YAML, indented by a number of columns, each line ended. */
function renderBlock(text: string, value: unknown, columns: number): string {
  const document = new Document(value, { version: '1.1', aliasDuplicateObjects: false });
  visit(document, {
    Pair: (_key, pair) => {
      if (!isScalar(pair.key) || !isScalar(pair.value)) return;
      // Decimal, because YAML 1.1 and 1.2 read 0444 as two different numbers; the comment is for people.
      if (pair.key.value === 'defaultMode') pair.value.comment = ` 0${Number(pair.value.value).toString(8)}`;
    },
  });
  const eol = lineEnding(text);
  const indent = ' '.repeat(columns);
  const rendered = document.toString({ lineWidth: 0, indentSeq: indentsLists(text), singleQuote: true });
  return rendered
    .trimEnd()
    .split('\n')
    .map((line) => `${indent}${line}${eol}`)
    .join('');
}

/** Whether the text indents its lists below their key: the habit of the first list that follows a key. */
function indentsLists(text: string): boolean {
  const first = /^( *)(?:- +)*[A-Za-z][\w.]*:[ \t]*(?:#.*)?\r?\n(?:[ \t]*(?:#.*)?\r?\n)*( *)- /m.exec(text);
  return first === null || (first[2] ?? '').length > (first[1] ?? '').length;
}

/** Behind the last item, or behind the opening bracket of an empty collection. */
function flowSplice(text: string, into: YAMLMap | YAMLSeq, rendered: readonly string[]): Splice {
  const last = into.items.at(-1);
  if (last === undefined) {
    const start = startOf(into) + 1;
    return { start, end: start, depth: 0, text: rendered.join(', ') };
  }
  const start = contentEnd(last);
  const indent = ownIndent(text, into);
  const separator = indent === undefined ? ', ' : `,${lineEnding(text)}${indent}`;
  return { start, end: start, depth: 0, text: rendered.map((item) => separator + item).join('') };
}

/** JSON, on several lines where the collection it goes into is. */
function renderJson(text: string, into: YAMLMap | YAMLSeq, value: unknown): string {
  const indent = ownIndent(text, into);
  if (indent === undefined) return JSON.stringify(value);
  const step = indent.includes('\t') ? '\t' : '  ';
  return JSON.stringify(value, null, step).replaceAll('\n', `${lineEnding(text)}${indent}`);
}

/** The white space before the first item where that begins a line of its own; undefined where it does not. */
function ownIndent(text: string, { items: [first] }: YAMLMap | YAMLSeq): string | undefined {
  if (first === undefined) return undefined;
  const start = startOf(first);
  const before = text.slice(lineStart(text, start), start);
  return /^[ \t]*$/.test(before) ? before : undefined;
}
