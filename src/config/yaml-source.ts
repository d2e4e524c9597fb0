/**
 * A YAML file with places. Errors name file, line, column and field, and quote nothing from the file: people
 * paste tokens into the wrong file, and an error message is read by more people than the file.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type Scalar,
  type Tags,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import type { z } from 'zod';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { shownName } from '../domain/shown-name.ts';
import { explain, type Path, suggestField } from './explain.ts';
import { type AliasFault, followAliases } from './yaml-aliases.ts';

/** Largest configuration file, in bytes: a ConfigMap holds at most 1 MiB. */
export const MAX_CONFIG_BYTES = 1024 * 1024;
/** Times that aliases may be followed in one document, those within anchors included. */
const MAX_ALIASES = 100;

/** A parsed document of a YAML file. */
export class YamlSource {
  readonly file: string;
  readonly #document: Document;
  readonly #lines: LineCounter;
  /** What the aliases stand for, known once the document was found usable. */
  #targets: ReadonlyMap<Alias, Node> = new Map();
  /** Fields of the maps that an issue was looked for in: there may be as many issues as fields. */
  readonly #fields = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  /** The document that this is a part of, and where. */
  #whole: YamlSource | undefined;
  #root: Path = [];
  #data: { readonly plain: unknown } | undefined;

  constructor(file: string, document: Document, lines: LineCounter) {
    this.file = file;
    this.#document = document;
    this.#lines = lines;
  }

  /** Checks the document against a schema and returns what the schema makes of it, defaults filled in. */
  validate<S extends z.ZodType>(schema: S): z.output<S> {
    const result = notTooDeep(this.file, () => schema.safeParse(this.#plainData() ?? {}));
    if (result.success) return result.data;
    // One thing to fix at each place: a text that breaks two patterns is still one mistake.
    const issues = new Map(
      result.error.issues
        .map((issue) => [JSON.stringify([issue.path, issue.code]), issue] as const)
        .reverse(),
    );
    throw new ConfigError([...issues.values()].reverse().flatMap((issue) => this.#explain(schema, issue)));
  }

  /** The entries of the list at `path`, each as a source of its own; undefined where there is no list. */
  entries(path: Path): YamlSource[] | undefined {
    const list = path.reduce((data, part) => Object(data)[part], this.#plainData());
    if (!Array.isArray(list)) return undefined;
    return list.map((_, index) => {
      const part = new YamlSource(this.file, this.#document, this.#lines);
      part.#whole = this;
      part.#root = [...path, index];
      return part;
    });
  }

  /** An issue about the field at `path`. */
  issueAt(path: Path, message: string, hint: string): ConfigIssue {
    if (this.#whole !== undefined) return this.#whole.issueAt([...this.#root, ...path], message, hint);
    return { file: this.file, ...this.#place(path), field: fieldName(path), message, hint };
  }

  /** A function that adds such an issue to a list. */
  reporter(issues: ConfigIssue[]): (path: Path, message: string, hint: string) => void {
    return (...about) => issues.push(this.issueAt(...about));
  }

  #plainData(): unknown {
    this.#data ??= { plain: this.#readPlainData() };
    return this.#data.plain;
  }

  #readPlainData(): unknown {
    if (this.#whole !== undefined)
      return this.#root.reduce((data, part) => Object(data)[part], this.#whole.#plainData());
    const { targets, faults } = followAliases(this.#document, MAX_ALIASES);
    this.#targets = targets;
    const issues = this.#unusable(new Map(faults.map(({ alias, fault }) => [alias, fault])));
    if (issues.length > 0) throw new ConfigError(issues);
    if (faults.length > 0)
      throw new ConfigError([
        this.issueAt([], 'follows too many aliases', 'write the repeated parts out, without & and *'),
      ]);
    // Counted above, without what the library's own count costs.
    return this.#document.toJS({ maxAliasCount: -1 });
  }

  /**
   * YAML that cannot be a configuration. The library would silently turn some of it into other data
   * (`!!set`), drop it (`__proto__`), or quote it in an error or a warning on stderr (aliases, keys of several parts).
   */
  #unusable(aliasFaults: ReadonlyMap<Alias, AliasFault>): ConfigIssue[] {
    const issues: ConfigIssue[] = [];
    const add = (node: unknown, message: string, hint: string) =>
      issues.push({ file: this.file, ...this.#positionOf(node), field: '', message, hint });
    visit(this.#document, {
      Node: (_key, node) => {
        if (node.tag !== undefined && !CORE_TAG.test(node.tag))
          add(node, 'has a tag that means nothing here', 'remove the word that begins with "!"');
        const fault = isAlias(node) ? aliasFaults.get(node) : undefined;
        if (fault === 'no-anchor')
          add(
            node,
            'is an alias of an anchor that does not exist',
            'put text that begins with "*" in quotes, or set the anchor before it',
          );
        if (fault === 'within-itself')
          add(node, 'is an alias of a node that contains it', 'write the repeated part out, without & and *');
        if (isMap(node)) for (const key of repeated(node)) add(key, 'duplicate field', 'keep one of the two');
      },
      Pair: (_key, { key }) => {
        if (!isScalar(key)) add(key, 'is no name of a field', 'write plain text before the ":"');
        else if (key.value === '__proto__') add(key, 'is a name that cannot be used', 'choose another name');
      },
    });
    return issues;
  }

  #explain(schema: z.ZodType, issue: z.core.$ZodIssue): ConfigIssue[] {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) =>
        this.issueAt([...issue.path, key], 'is not a known field', suggestField(schema, issue.path, key)),
      );
    }
    if (issue.code === 'invalid_key') {
      const what = issue.issues[0]?.message ?? 'is not allowed';
      return [this.issueAt(issue.path, `the name ${what}`, KEY_HINT)];
    }
    const { message, hint } = explain(schema, issue);
    return [this.issueAt(issue.path, message, hint)];
  }

  #place(path: Path): { line: number; column: number } {
    let node: unknown = this.#document.contents;
    let place = node;
    for (const part of path) {
      if (isAlias(node)) node = this.#targets.get(node);
      if (isMap(node)) {
        const pair = this.#fieldsOf(node).get(String(part));
        if (pair === undefined) break;
        place = pair.key;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(part)];
        if (node === undefined) break;
        place = node;
      } else break;
    }
    return this.#positionOf(place);
  }

  #fieldsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
    let fields = this.#fields.get(map);
    if (fields === undefined) {
      fields = new Map(
        map.items.flatMap((pair) => (isScalar(pair.key) ? [[String(pair.key.value), pair]] : [])),
      );
      this.#fields.set(map, fields);
    }
    return fields;
  }

  #positionOf(node: unknown): { line: number; column: number } {
    const inner = isPair(node) ? node.key : node;
    const place = this.#lines.linePos((isNode(inner) ? inner.range?.[0] : undefined) ?? 0);
    return { line: place.line, column: place.col };
  }
}

/** Names that occur earlier in the map. As text: `1` and `"1"` become one name in JavaScript. */
function repeated({ items }: YAMLMap): Scalar[] {
  const names = new Set<string>();
  return items.flatMap(({ key }) => {
    if (!isScalar(key)) return [];
    const name = String(key.value);
    const known = names.has(name);
    names.add(name);
    return known ? [key] : [];
  });
}

/** Tags of what JSON has too; everything else makes a type that a configuration does not have. */
const CORE_TAG = /^tag:yaml\.org,2002:(map|seq|str|int|float|bool|null)$/;

const KEY_HINT = 'write letters, digits and "_", not beginning with a digit';

/** Parses every document of a file. `customTags` changes how plain scalars are read. */
export function parseYaml(file: string, text: string, customTags?: (tags: Tags) => Tags): YamlSource[] {
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) {
    throw wholeFile(file, 'is larger than 1 MiB', 'split it, or check that it is the right file');
  }
  const lines = new LineCounter();
  const parsed = notTooDeep(file, () =>
    parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      version: '1.2',
      schema: 'core',
      ...(customTags && { customTags }),
      // The library compares each name with all before it, which takes 20 s for 150 KB. `#unusable` looks for them.
      uniqueKeys: false,
      // Warnings go to stderr and quote the source.
      logLevel: 'silent',
    }),
  );
  const documents: Document[] = Array.isArray(parsed) ? parsed : [];
  const issues = documents.flatMap((document) =>
    document.errors.map((error): ConfigIssue => {
      const { line, col } = lines.linePos(error.pos[0]);
      return { file, line, column: col, field: '', ...syntaxError(error.code) };
    }),
  );
  if (issues.length > 0) throw new ConfigError(issues);
  if (documents.length === 0) throw wholeFile(file, 'is empty', 'write a configuration, or remove the file');
  const sources = documents.map((document) => new YamlSource(file, document, lines));
  const empty = sources.filter((_, index) => isNothing(documents[index]?.contents));
  if (empty.length > 0 && sources.length > 1)
    throw new ConfigError(
      empty.map((source) => source.issueAt([], 'is an empty document', 'remove its "---"')),
    );
  return sources;
}

function isNothing(contents: unknown): boolean {
  return contents === null || (isScalar(contents) && contents.source === '');
}

/** The code of a YAML error in words. Its message is not used: it quotes the source. */
function syntaxError(code: YAMLError['code']): { message: string; hint: string } {
  switch (code) {
    case 'TAB_AS_INDENT':
      return { message: 'not valid YAML: a tab indents this line', hint: 'indent with spaces' };
    case 'BAD_INDENT':
      return {
        message: 'not valid YAML: the indentation fits no line above, or a bracket is not closed',
        hint: 'indent like the neighbouring fields, and close every [ and {',
      };
    case 'MISSING_CHAR':
      return {
        message: 'not valid YAML: a quote, bracket, comma or colon is missing',
        hint: 'look for it in this line and the ones before',
      };
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'MULTILINE_IMPLICIT_KEY':
      return {
        message: 'not valid YAML: a second ":" in one line, or a name over several lines',
        hint: 'put text with ": " in it in quotes, or begin a new line',
      };
    case 'BAD_DQ_ESCAPE':
      return {
        message: 'not valid YAML: an unknown escape in double quotes',
        hint: "write \\\\ for a backslash, or use single quotes ('…')",
      };
    case 'BAD_SCALAR_START':
      return { message: 'not valid YAML: text begins with a reserved character', hint: 'put it in quotes' };
    case 'RESOURCE_EXHAUSTION':
      return TOO_DEEP;
    default:
      return {
        message: `not valid YAML: ${code.toLowerCase().replaceAll('_', ' ')}`,
        hint: 'fix the YAML syntax here',
      };
  }
}

const TOO_DEEP = { message: 'is nested too deeply', hint: 'write fewer levels, or close every [ and {' };

/** The parser goes down a level of calls for each level of the file, and the stack may end before the file does. */
function notTooDeep<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError) throw wholeFile(file, TOO_DEEP.message, TOO_DEEP.hint);
    throw error;
  }
}

/** An error about a file as a whole. */
export function wholeFile(file: string, message: string, hint: string): ConfigError {
  return new ConfigError([{ file, line: 0, column: 0, field: '', message, hint }]);
}

function fieldName(path: Path): string {
  return path.reduce<string>((name, part) => {
    if (typeof part === 'number') return `${name}[${part}]`;
    const shown = shownName(String(part));
    return name === '' ? shown : `${name}.${shown}`;
  }, '');
}
