/**
 * Additions → splices of the source text. The text is never written anew from the parsed document: that would
 * re-wrap, re-quote and re-indent what people wrote. Every byte outside the splices stays.
 */
import {
  Document,
  isAlias,
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
import type { Addition } from './additions.ts';
import { asMap, type Path, valueAt } from './data.ts';
import { type ManifestDocument, ownPair } from './stream.ts';
import { column, lineEnd, lineEnding, lineStart, nextLine, type Splice } from './text.ts';

/** Why a place cannot be added to. */
export type InsertProblem = 'alias' | 'anchor' | 'merged' | 'null' | 'type';

export class CannotInsert extends Error {
  readonly problem: InsertProblem;
  readonly path: Path;
  constructor(problem: InsertProblem, path: Path) {
    super(problem);
    this.problem = problem;
    this.path = path;
  }
}

/** Splices that make the additions. `template` is the path of the pod template in the document. */
export function planInsertions(
  text: string,
  { node: document, data }: ManifestDocument,
  template: Path,
  additions: readonly Addition[],
): { splices: Splice[]; created: Path[] } {
  const splices: Splice[] = [];
  const created: Path[] = [];
  // New fields by their path: two additions may be below one that is missing.
  const entries = new Map<string, { map: YAMLMap; key: string; value: unknown; depth: number }>();
  const aliased = aliasedAnchors(document);
  for (const addition of additions) {
    const full = [...template, ...addition.to];
    const { node, depth } = descend(document, data, full, aliased);
    if (depth === full.length && isNode(node) && !isNull(node)) {
      splices.push(...addInto(text, node, addition, full));
      if ('entry' in addition) created.push([...addition.to, addition.entry.key]);
      continue;
    }
    // Wraps the payload in the fields that are missing on the way to it.
    const missing = full.slice(depth);
    const payload = 'items' in addition ? addition.items : { [addition.entry.key]: addition.entry.value };
    if (isNode(node) && isNull(node)) {
      splices.push(fillNull(text, node, wrap(missing, payload), full.slice(0, depth)));
      if (missing.length > 0) created.push([...addition.to.slice(0, depth - template.length + 1)]);
      continue;
    }
    const [key, ...inner] = missing;
    if (!isMap(node) || typeof key !== 'string') throw new CannotInsert('type', full.slice(0, depth));
    const path = full.slice(template.length, depth + 1);
    const value = wrap(inner, payload);
    const entry = entries.get(path.join('/'));
    if (entry !== undefined) entry.value = { ...asMap(entry.value), ...asMap(value) };
    else {
      entries.set(path.join('/'), { map: node, key, value, depth });
      created.push(path);
    }
  }
  for (const { map, key, value, depth } of entries.values()) {
    splices.push(addEntry(text, map, key, value, depth));
  }
  return { splices, created };
}

function wrap(keys: Path, payload: unknown): unknown {
  return keys.reduceRight<unknown>((value, key) => ({ [key]: value }), payload);
}

/** Goes down as far as the document has nodes. Refuses to pass a node that the document uses in a second place. */
function descend(
  document: Document.Parsed,
  data: unknown,
  path: Path,
  aliased: ReadonlySet<string>,
): { node: unknown; depth: number } {
  let node: unknown = document.contents;
  for (let depth = 0; ; depth++) {
    const here = path.slice(0, depth);
    if (isAlias(node)) throw new CannotInsert('alias', here);
    if (isNode(node) && 'anchor' in node && typeof node.anchor === 'string' && aliased.has(node.anchor)) {
      throw new CannotInsert('anchor', here);
    }
    const part = path[depth];
    if (part === undefined) return { node, depth };
    if (isSeq(node) && typeof part === 'number') {
      node = node.items[part];
      continue;
    }
    if (!isMap(node)) return { node, depth };
    const pair = ownPair(node, String(part));
    if (pair === undefined) {
      if (ownPair(node, '<<') !== undefined && valueAt(data, [...here, part]) !== undefined) {
        throw new CannotInsert('merged', [...here, part]);
      }
      return { node, depth };
    }
    if (pair.value === null) throw new CannotInsert('null', [...here, part]);
    node = pair.value;
  }
}

function aliasedAnchors(document: Document): Set<string> {
  const names = new Set<string>();
  visit(document, {
    Alias: (_key, alias) => {
      names.add(alias.source);
    },
  });
  return names;
}

function addInto(text: string, node: Node, addition: Addition, path: Path): Splice[] {
  if ('items' in addition) {
    if (!isSeq(node)) throw new CannotInsert('type', path);
    if (node.flow) {
      return [
        flowSplice(
          text,
          node,
          addition.items.map((item) => renderJson(text, node, item)),
        ),
      ];
    }
    return [blockSplice(text, node, addition.items, path.length)];
  }
  if (!isMap(node)) throw new CannotInsert('type', path);
  return [addEntry(text, node, addition.entry.key, addition.entry.value, path.length)];
}

function addEntry(text: string, map: YAMLMap, key: string, value: unknown, depth: number): Splice {
  if (map.flow) {
    return flowSplice(text, map, [`${JSON.stringify(key)}: ${renderJson(text, map, value)}`]);
  }
  return blockSplice(text, map, { [key]: value }, depth);
}

/** Behind the last line of a block collection, and behind comments that stand deeper than its own column. */
function blockSplice(text: string, into: Node, value: unknown, depth: number): Splice {
  const indent = blockColumn(text, into);
  let start = lineEnd(text, contentEnd(into));
  for (;;) {
    const next = nextLine(text, start);
    const comment = /^( *)#/.exec(text.slice(start, next));
    if (comment === null || (comment[1] ?? '').length <= indent) break;
    start = next;
  }
  return { start, end: start, depth, text: renderBlock(text, value, indent) };
}

/** Column of the keys of a block map, or of the dashes of a block list. */
function blockColumn(text: string, node: Node): number {
  return column(text, node.range?.[0] ?? 0);
}

/** Offset behind the last character of a node that is not a comment or blank. */
export function contentEnd(node: unknown): number {
  if (isMap(node) && !node.flow) {
    const last = node.items[node.items.length - 1];
    return last === undefined ? (node.range?.[1] ?? 0) : contentEnd(last.value ?? last.key);
  }
  if (isSeq(node) && !node.flow) {
    const last = node.items[node.items.length - 1];
    return last === undefined ? (node.range?.[1] ?? 0) : contentEnd(last);
  }
  return isNode(node) ? (node.range?.[1] ?? 0) : 0;
}

function isNull(node: Node): boolean {
  return isScalar(node) && node.value === null;
}

/** `volumes:` with nothing behind it gets its content on the next line. A written `null` would have to be replaced. */
function fillNull(text: string, node: Node, value: unknown, path: Path): Splice {
  const [start = 0, end = 0] = node.range ?? [];
  if (end > start || path.length === 0) throw new CannotInsert('null', path);
  const lineIndent = /^[ ]*(- +)*/.exec(text.slice(lineStart(text, start)))?.[0].length ?? 0;
  const line = text.slice(start, nextLine(text, start));
  if (!/^[ \t]*(#.*)?\r?\n?$/.test(line)) throw new CannotInsert('null', path);
  const offset = nextLine(text, start);
  const indent = lineIndent + (Array.isArray(value) && !indentsLists(text) ? 0 : 2);
  return { start: offset, end: offset, depth: path.length, text: renderBlock(text, value, indent) };
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
  const last = into.items[into.items.length - 1];
  if (last === undefined) {
    const start = (into.range?.[0] ?? 0) + 1;
    return { start, end: start, depth: 0, text: rendered.join(', ') };
  }
  const start = contentEnd(isPair(last) ? (last.value ?? last.key) : last);
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
function ownIndent(text: string, into: YAMLMap | YAMLSeq): string | undefined {
  const first = into.items[0];
  const node = isPair(first) ? first.key : first;
  const start = isNode(node) ? node.range?.[0] : undefined;
  if (start === undefined) return undefined;
  const before = text.slice(lineStart(text, start), start);
  return /^[ \t]*$/.test(before) ? before : undefined;
}
