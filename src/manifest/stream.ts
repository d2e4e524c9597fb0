/** A stream of Kubernetes manifests with places: what `-f` reads. */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseAllDocuments,
  type YAMLMap,
} from 'yaml';
import { followAliases } from '../config/yaml-aliases.ts';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';

/** Largest stream that is read, in characters. A rendered chart of a whole platform is far below it. */
const MAX_MANIFEST_LENGTH = 16 * 1024 * 1024;

/** Most aliases that may be followed in a document: each is expanded, and expansion can be exponential. */
const MAX_ALIASES = 100;

export type Path = readonly (string | number)[];

export interface ManifestDocument {
  readonly node: Document.Parsed;
  /** Plain data, aliases and merge keys expanded. */
  readonly data: unknown;
}

/** 1-based. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export class ManifestStream {
  readonly file: string;
  readonly text: string;
  readonly documents: readonly ManifestDocument[];
  readonly #lines: LineCounter;

  constructor(file: string, text: string, documents: readonly ManifestDocument[], lines: LineCounter) {
    this.file = file;
    this.text = text;
    this.documents = documents;
    this.#lines = lines;
  }

  /** Where the field at `path` is; where there is none, where the innermost field around it is. */
  placeOf(document: ManifestDocument, path: Path): Place {
    let node: unknown = document.node.contents;
    let offset = offsetOf(node) ?? document.node.range[0];
    for (const part of path) {
      const step = stepInto(document.node, node, part);
      if (step === undefined) break;
      offset = offsetOf(step.key) ?? offsetOf(step.value) ?? offset;
      node = step.value;
    }
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  issueAt(document: ManifestDocument, path: Path, message: string, hint: string): ConfigIssue {
    return { file: this.file, ...this.placeOf(document, path), field: pathName(path), message, hint };
  }
}

/**
 * Parses as `kubectl` does: YAML 1.1, in which `yes` is true and 0444 is octal. Read as YAML 1.2 a
 * `privileged: yes` would be a harmless string here and a privileged container in the cluster.
 */
export function parseStream(file: string, text: string): ManifestStream {
  if (text.length > MAX_MANIFEST_LENGTH) {
    throw new ConfigError([
      wholeFile(file, 'is larger than 16 MiB', 'split it, or check that it is the right file'),
    ]);
  }
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, version: '1.1' });
  const nodes = Array.isArray(parsed) ? parsed : [];
  const issues = nodes.flatMap((node) =>
    node.errors.map((error): ConfigIssue => {
      const { line, col } = lines.linePos(error.pos[0]);
      // error.message quotes the source, which may be a Secret; its code does not.
      const duplicate = error.code === 'DUPLICATE_KEY';
      return {
        file,
        line,
        column: col,
        field: '',
        message: duplicate
          ? 'this field is there twice'
          : `not valid YAML: ${error.code.toLowerCase().replaceAll('_', ' ')}`,
        hint: duplicate ? 'keep one of the two' : 'mend the syntax at this place; indent with spaces',
      };
    }),
  );
  if (issues.length > 0) throw new ConfigError(issues);
  return new ManifestStream(
    file,
    text,
    nodes.map((node) => ({ node, data: plainData(file, node) })),
    lines,
  );
}

function plainData(file: string, node: Document.Parsed): unknown {
  const refused = () =>
    new ConfigError([wholeFile(file, 'has aliases that cannot be expanded', 'write the aliased parts out')]);
  if (followAliases(node, MAX_ALIASES).faults.length > 0) throw refused();
  try {
    return node.toJS({ maxAliasCount: -1 });
  } catch {
    // A merge of what is no map. The parser's own text may quote the source.
    throw refused();
  }
}

export function wholeFile(file: string, message: string, hint: string): ConfigIssue {
  return { file, line: 0, column: 0, field: '', message, hint };
}

/** `spec.containers[0].env`. */
export function pathName(path: Path): string {
  return path.reduce<string>(
    (name, part) =>
      typeof part === 'number' ? `${name}[${part}]` : name === '' ? String(part) : `${name}.${part}`,
    '',
  );
}

/** The pair of a key that stands in the map itself, not in one that is merged into it. */
export function ownPair(map: YAMLMap, key: string): Pair<Node, Node | null> | undefined {
  return map.items.find((pair) => isScalar(pair.key) && keyText(pair.key.value) === key) as
    | Pair<Node, Node | null>
    | undefined;
}

/** The parser reads the merge key `<<` as a symbol of that description. */
function keyText(value: unknown): string | undefined {
  return typeof value === 'symbol' ? value.description : String(value);
}

interface Step {
  readonly key: unknown;
  readonly value: unknown;
}

function stepInto(document: Document, node: unknown, part: string | number): Step | undefined {
  const target = isAlias(node) ? node.resolve(document) : node;
  if (isSeq(target)) {
    const item = typeof part === 'number' ? target.items[part] : undefined;
    return item === undefined ? undefined : { key: undefined, value: item };
  }
  if (!isMap(target)) return undefined;
  const own = ownPair(target, String(part));
  if (own !== undefined) return { key: own.key, value: own.value };
  const merged = ownPair(target, '<<')?.value;
  const sources = isSeq(merged) ? merged.items : [merged];
  for (const source of sources) {
    const found = stepInto(document, source, part);
    if (found !== undefined) return found;
  }
  return undefined;
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
