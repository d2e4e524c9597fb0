/**
 * A YAML file with places. Errors name file, line, column and field, and quote nothing from the file: people
 * paste tokens into the wrong file, and an error message is read by more people than the file.
 */
import { type Document, isMap, isScalar, LineCounter, type Node, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { ConfigError, type ConfigIssue } from '../errors.ts';

/** Largest configuration file, in bytes: a ConfigMap holds at most 1 MiB. */
export const MAX_CONFIG_BYTES = 1024 * 1024;

type Path = readonly PropertyKey[];

/** A parsed document of a YAML file. */
export class YamlSource {
  readonly file: string;
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(file: string, document: Document, lines: LineCounter) {
    this.file = file;
    this.#document = document;
    this.#lines = lines;
  }

  /** Checks the document against a schema and returns what the schema makes of it, defaults filled in. */
  validate<S extends z.ZodType>(schema: S): z.output<S> {
    const result = schema.safeParse(this.#document.toJS({ maxAliasCount: 100 }) ?? {});
    if (result.success) return result.data;
    throw new ConfigError(result.error.issues.flatMap((issue) => this.#explain(schema, issue)));
  }

  /** An issue about the field at `path`. */
  issueAt(path: Path, message: string, hint: string): ConfigIssue {
    return { file: this.file, ...this.#place(path), field: fieldName(path), message, hint };
  }

  #explain(schema: z.ZodType, issue: z.core.$ZodIssue): ConfigIssue[] {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) =>
        this.issueAt(
          [...issue.path, key],
          'is not a known field',
          suggest(key, knownFields(schema, issue.path)),
        ),
      );
    }
    if (issue.code === 'invalid_key') {
      const nested = issue.issues[0];
      return [
        this.issueAt(
          issue.path,
          `the name ${nested?.message ?? 'is not allowed'}`,
          'write letters, digits and "_", not beginning with a digit',
        ),
      ];
    }
    const description = describe(schema, issue.path);
    const hint = description === undefined ? 'see `secret-resolver config schema`' : `write ${description}`;
    return [this.issueAt(issue.path, plain(issue), hint)];
  }

  #place(path: Path): { line: number; column: number } {
    let node: unknown = this.#document.contents;
    let offset = offsetOf(node) ?? 0;
    for (const [index, part] of path.entries()) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
        if (pair === undefined) break;
        offset = offsetOf(pair.key) ?? offset;
        node = pair.value;
      } else {
        const next = this.#document.getIn(path.slice(0, index + 1), true);
        offset = offsetOf(next) ?? offset;
        node = next;
      }
    }
    const place = this.#lines.linePos(offset);
    return { line: place.line, column: place.col };
  }
}

/** Parses every document of a file; a file without any is one empty document. */
export function parseYaml(file: string, text: string): YamlSource[] {
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) {
    throw new ConfigError([
      {
        file,
        line: 0,
        column: 0,
        field: '',
        message: 'is larger than 1 MiB',
        hint: 'split it, or check that it is the right file',
      },
    ]);
  }
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, version: '1.2' });
  const documents: Document[] = Array.isArray(parsed) ? parsed : [];
  const issues = documents.flatMap((document) =>
    document.errors.map((error): ConfigIssue => {
      const { line, col } = lines.linePos(error.pos[0]);
      // error.message quotes the source; its code does not.
      const message =
        error.code === 'DUPLICATE_KEY'
          ? 'this field is there twice'
          : `not valid YAML: ${error.code.toLowerCase().replaceAll('_', ' ')}`;
      return {
        file,
        line,
        column: col,
        field: '',
        message,
        hint: 'mend the syntax at this place; indent with spaces',
      };
    }),
  );
  if (issues.length > 0) throw new ConfigError(issues);
  if (documents.length === 0) {
    throw new ConfigError([
      {
        file,
        line: 1,
        column: 1,
        field: '',
        message: 'is empty',
        hint: 'write a configuration, or remove the file',
      },
    ]);
  }
  return documents.map((document) => new YamlSource(file, document, lines));
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | undefined | null)?.range?.[0];
}

function fieldName(path: Path): string {
  return path.reduce<string>(
    (name, part) =>
      typeof part === 'number' ? `${name}[${part}]` : name === '' ? String(part) : `${name}.${String(part)}`,
    '',
  );
}

/** zod's message without its preamble. It names types and options, never the input. */
function plain(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') {
    return issue.message.endsWith('received undefined')
      ? 'is missing'
      : `has the wrong type, expected ${issue.expected}`;
  }
  if (issue.code === 'invalid_union') return 'has none of the accepted forms';
  return issue.message.replace(/^Invalid (input|option|string): /, '');
}

interface SchemaNode {
  readonly description?: string;
  readonly properties?: Record<string, SchemaNode>;
  readonly items?: SchemaNode;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly anyOf?: readonly SchemaNode[];
}

function schemaAt(schema: z.ZodType, path: Path): SchemaNode | undefined {
  let node: SchemaNode | undefined = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
  }) as SchemaNode;
  for (const part of path) {
    node =
      typeof part === 'number'
        ? node?.items
        : (node?.properties?.[String(part)] ??
          (typeof node?.additionalProperties === 'object' ? node.additionalProperties : undefined));
  }
  return node;
}

function describe(schema: z.ZodType, path: Path): string | undefined {
  return schemaAt(schema, path)?.description;
}

function knownFields(schema: z.ZodType, path: Path): string[] {
  return Object.keys(schemaAt(schema, path)?.properties ?? {});
}

function suggest(key: string, known: readonly string[]): string {
  const near = known
    .map((name) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance }) => distance <= 2)
    .sort((a, b) => a.distance - b.distance)[0];
  if (near !== undefined) return `write ${near.name}`;
  return known.length === 0 ? 'remove it' : `remove it; known here: ${known.join(', ')}`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, change));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
