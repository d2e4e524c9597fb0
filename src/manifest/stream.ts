/** A stream of Kubernetes manifests with places: what `-f` reads. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type YAMLMap,
} from 'yaml';
import { ConfigError, type ConfigIssue } from '../domain/errors.ts';
import { type Path, pathName } from './data.ts';
import { composeDocuments, offsetOf, plainData, syntaxFaults } from './syntax.ts';

/** Largest stream that is read, in characters. A rendered chart of a whole platform is far below it. */
const MAX_MANIFEST_LENGTH = 16 * 1024 * 1024;

export interface ManifestStream {
  readonly file: string;
  readonly text: string;
  readonly documents: readonly ManifestDocument[];
}

export class ManifestDocument {
  readonly file: string;
  readonly node: Document.Parsed;
  /** Plain data, aliases and merge keys expanded. */
  readonly data: unknown;
  readonly #lines: LineCounter;

  constructor(file: string, node: Document.Parsed, data: unknown, lines: LineCounter) {
    this.file = file;
    this.node = node;
    this.data = data;
    this.#lines = lines;
  }

  /** Where the field at `path` is, both 1-based; where there is none, where the innermost field around it is. */
  placeOf(path: Path): { line: number; column: number } {
    let node: unknown = this.node.contents;
    let offset = offsetOf(node) ?? this.node.range[0];
    for (const part of path) {
      const step = stepInto(this.node, node, part);
      if (step === undefined) break;
      offset = offsetOf(step.key) ?? offsetOf(step.value) ?? offset;
      node = step.value;
    }
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }

  issueAt(path: Path, message: string, hint: string): ConfigIssue {
    return { file: this.file, ...this.placeOf(path), field: pathName(path), message, hint };
  }
}

/** Parses as `kubectl` does, or throws {@link ConfigError} with every fault of the syntax. */
export function parseStream(file: string, text: string): ManifestStream {
  const refuse = (message: string, hint: string) => new ConfigError([wholeFile(file, message, hint)]);
  if (text.length > MAX_MANIFEST_LENGTH) {
    throw refuse('is larger than 16 MiB', 'split it, or check that it is the right file');
  }
  if (text.includes('\0')) {
    throw refuse('contains NUL characters', 'save it as UTF-8; UTF-16 needs a byte order mark');
  }
  const lines = new LineCounter();
  const nodes = composeDocuments(text, lines);
  const issues = nodes.flatMap(syntaxFaults).map(({ offset, message, hint }): ConfigIssue => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col, field: '', message, hint };
  });
  if (issues.length > 0) throw new ConfigError(issues);
  const documents = nodes.map((node) => {
    const plain = plainData(node);
    if (plain === 'refused')
      throw refuse('has aliases that cannot be expanded', 'write the aliased parts out');
    return new ManifestDocument(file, node, plain.data, lines);
  });
  return { file, text, documents };
}

export function wholeFile(file: string, message: string, hint: string): ConfigIssue {
  return { file, line: 0, column: 0, field: '', message, hint };
}

/** The pair of a key of the map itself, not of one that is merged into it. */
export function ownPair(map: YAMLMap, key: string): Pair<Node, Node | null> | undefined {
  return map.items.find((pair) => isScalar(pair.key) && keyText(pair.key.value) === key) as
    | Pair<Node, Node | null>
    | undefined;
}

/** The parser reads the merge key `<<` as a symbol of that description. */
function keyText(value: unknown): string | undefined {
  return typeof value === 'symbol' ? value.description : String(value);
}

/** What a step leads to, through aliases and merge keys. An item of a list has no key. */
function stepInto(
  document: Document,
  node: unknown,
  part: string | number,
): { key?: unknown; value: unknown } | undefined {
  const target = isAlias(node) ? node.resolve(document) : node;
  if (isSeq(target)) {
    const item = typeof part === 'number' ? target.items[part] : undefined;
    return item === undefined ? undefined : { value: item };
  }
  if (!isMap(target)) return undefined;
  const own = ownPair(target, String(part));
  if (own !== undefined) return own;
  const merged = ownPair(target, '<<')?.value;
  const sources = isSeq(merged) ? merged.items : [merged];
  for (const source of sources) {
    const found = stepInto(document, source, part);
    if (found !== undefined) return found;
  }
  return undefined;
}
