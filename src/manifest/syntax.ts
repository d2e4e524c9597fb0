/** Text of a stream as YAML documents, read as `kubectl` reads it, and what `kubectl` would refuse or read otherwise. */
import { Composer, type Document, isNode, isScalar, type LineCounter, Parser, type Tags, visit } from 'yaml';
import { followAliases } from '../config/yaml-aliases.ts';

/** Most aliases that may be followed in a document: each is expanded, and expansion can be exponential. */
const MAX_ALIASES = 100;

/** Explicit tags that every YAML reader takes for the same type. */
const COMMON_TAGS = new Set(['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map(yamlTag));

export interface SyntaxFault {
  readonly offset: number;
  /** Never quotes the source, which may be a Secret. */
  readonly message: string;
  readonly hint: string;
}

/**
 * YAML 1.1, in which `yes` is true and 0444 is octal: read as 1.2 a `privileged: yes` would be a harmless string
 * here and a privileged container in the cluster. 12:30 is text, as for `kubectl`, and not a number to the base 60.
 */
export function composeDocuments(text: string, lines: LineCounter): Document.Parsed[] {
  lines.addNewLine(0);
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1);
  return spansOf(text).flatMap(([start, end]) => {
    const parser = new Parser();
    parser.offset = start;
    const composer = new Composer({
      prettyErrors: false,
      version: '1.1',
      customTags: (tags: Tags) =>
        tags.filter((tag) => typeof tag === 'string' || !('format' in tag) || tag.format !== 'TIME'),
    });
    return [...composer.compose(parser.parse(text.slice(start, end)))];
  });
}

/** JSON objects one behind the other are a document each, as for `kubectl`; everything else is one stream. */
function spansOf(text: string): [start: number, end: number][] {
  const whole: [number, number][] = [[0, text.length]];
  const spans: [number, number][] = [];
  let depth = 0;
  let start = 0;
  for (let at = text.startsWith('\uFEFF') ? 1 : 0; at < text.length; at++) {
    const mark = text[at] ?? '';
    if (mark === '"' && depth > 0) {
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++;
    } else if (mark === '{' || mark === '[') {
      if (depth++ === 0) start = spans.length === 0 ? 0 : at;
    } else if (mark === '}' || mark === ']') {
      if (--depth === 0) spans.push([start, at + 1]);
    } else if (depth <= 0 && !/\s/.test(mark)) return whole;
    if (depth < 0) return whole;
  }
  return depth === 0 && spans.length > 1 ? spans : whole;
}

export function syntaxFaults(document: Document.Parsed): SyntaxFault[] {
  if (document.errors.length > 0) {
    // error.message quotes the source; its code does not.
    return document.errors.map(({ code, pos: [offset] }) =>
      code === 'DUPLICATE_KEY'
        ? { offset, message: 'duplicate field', hint: 'keep one of the two' }
        : {
            offset,
            message: `not valid YAML: ${code.toLowerCase().replaceAll('_', ' ')}`,
            hint: 'fix the YAML syntax here: indent with spaces, and render templates first',
          },
    );
  }
  const faults: SyntaxFault[] = [];
  const { yaml } = document.directives;
  if (yaml.explicit === true && yaml.version !== '1.1') {
    faults.push({
      offset: document.range[0],
      message: 'the %YAML directive asks for another version than 1.1, which kubectl ignores',
      hint: 'remove the directive',
    });
  }
  visit(document, {
    Pair: (_key, { key }) => {
      if (isScalar(key) && key.value !== null) return;
      faults.push({
        offset: offsetOf(key) ?? document.range[0],
        message: 'a key must be text: this one is a map, a list, an alias or null',
        hint: 'if this is a template of Helm or Jinja, render it first',
      });
    },
    Node: (_key, node) => {
      if (!('tag' in node) || node.tag === undefined || COMMON_TAGS.has(node.tag)) return;
      faults.push({
        offset: offsetOf(node) ?? 0,
        message: 'has a YAML tag that programs read in different ways',
        hint: 'remove the tag and write the value itself, in quotes where it is text',
      });
    },
  });
  return faults;
}

/** Plain data with aliases and merge keys expanded; `'refused'` where that cannot be done. */
export function plainData(document: Document.Parsed): { readonly data: unknown } | 'refused' {
  if (followAliases(document, MAX_ALIASES).faults.length > 0) return 'refused';
  try {
    return { data: document.toJS({ maxAliasCount: -1 }) };
  } catch {
    // A merge of what is no map. The parser's own text may quote the source.
    return 'refused';
  }
}

export function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function yamlTag(name: string): string {
  return `tag:yaml.org,2002:${name}`;
}
