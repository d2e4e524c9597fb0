/** What a schema says about a wrong value, in words: never the value. */
import { z } from 'zod';
import { nearest } from '../domain/nearest.ts';

export type Path = readonly PropertyKey[];

interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Record<string, SchemaNode>;
  readonly items?: SchemaNode;
  readonly additionalProperties?: SchemaNode | boolean;
  /** What a field that may be null is, and null. */
  readonly anyOf?: readonly SchemaNode[];
}

/** Message and hint for one issue of zod; `unrecognized_keys` and `invalid_key` are the caller's, by name. */
export function explain(schema: z.ZodType, issue: z.core.$ZodIssue): { message: string; hint: string } {
  return { message: plain(issue), hint: hintFor(schema, issue.path) };
}

/** What to write at a place. */
function hintFor(schema: z.ZodType, path: Path): string {
  const node = nodeAt(schema, path);
  if (node?.description !== undefined && path.length > 0) return `write ${node.description}`;
  if (path.length === 0 || node?.properties !== undefined)
    return `write a map of these fields: ${knownFields(schema, path).join(', ')}`;
  // What has no words of its own, such as an entry of a list, is described by what it is in.
  return hintFor(schema, path.slice(0, -1));
}

/** What to write instead of a field that is not known. */
export function suggestField(schema: z.ZodType, path: Path, key: string): string {
  const known = knownFields(schema, path);
  const near = nearest(key, known);
  if (near !== undefined) return near;
  return known.length === 0 ? 'remove it' : `remove it; known here: ${known.join(', ')}`;
}

/** zod's message without its preamble. It names types and options, never the input. */
function plain(issue: z.core.$ZodIssue): string {
  // A rule with words of its own.
  if (!/^(Too |Invalid |Unrecognized )/.test(issue.message)) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.endsWith('received undefined')
        ? 'is missing'
        : `has the wrong type, expected ${TYPES[issue.expected] ?? issue.expected}`;
    case 'invalid_union':
      return 'has none of the accepted forms';
    case 'invalid_value':
      return issue.values.length === 1
        ? `must be ${String(issue.values[0])}`
        : `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${unit(issue.origin)}`;
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `must be at least ${issue.minimum}`;
    default:
      return issue.message.replace(/^Invalid (input|option|string): /, '');
  }
}

/** YAML's words for the types that zod names. */
const TYPES: Readonly<Record<string, string>> = {
  object: 'a map of fields',
  record: 'a map',
  array: 'a list',
  string: 'text (put numbers in quotes)',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

function unit(origin: string): string {
  return origin === 'string' ? ' characters long' : '';
}

const published = new WeakMap<z.ZodType, SchemaNode>();

function nodeAt(schema: z.ZodType, path: Path): SchemaNode | undefined {
  let root = published.get(schema);
  if (root === undefined) {
    root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as SchemaNode;
    published.set(schema, root);
  }
  let node: SchemaNode | undefined = root;
  for (const part of path) {
    if (typeof part === 'number') node = node?.items;
    else {
      const { properties = {}, additionalProperties }: SchemaNode = node ?? {};
      const name = String(part);
      if (Object.hasOwn(properties, name)) node = properties[name];
      else node = typeof additionalProperties === 'object' ? additionalProperties : undefined;
    }
    const [only, none]: readonly SchemaNode[] = node?.anyOf ?? [];
    if (none?.type === 'null') node = only;
  }
  return node;
}

function knownFields(schema: z.ZodType, path: Path): string[] {
  return Object.keys(nodeAt(schema, path)?.properties ?? {});
}
