/** docs/reference/configuration.md: each field of the files, from the schemas that `config schema` prints. */
import { stringify } from 'yaml';
import { jsonSchema } from '../../src/cli/config.ts';
import { code, inline, table } from './markdown.ts';

interface Schema {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
}

const FILES = [
  [
    'config',
    'Configuration file',
    'The file that `--config` or `SECRET_RESOLVER_CONFIG` names. An unknown field is an error.',
  ],
  [
    'provider',
    'Provider files',
    'The YAML files in the folder `providersDir`. An unknown field is an error.',
  ],
  [
    'profile',
    'Profile files',
    "OpenShell's provider profiles, in YAML files in the folder `profilesDir`. The resolver takes these fields of them; `secret-resolver profile lint` knows the others.",
  ],
] as const;

export function configurationFiles(): ReadonlyMap<string, string> {
  const sections = FILES.map(([name, heading, text]) => {
    const rows = children('', jsonSchema(name));
    return `\n## ${heading}\n\n${text}\n\n${table(['field', 'type', 'default', 'meaning'], rows)}`;
  });
  const text = `# Configuration

<!-- Generated from src/config and src/consumers by \`npm run generate\`. -->

\`secret-resolver config schema config\`, \`provider\` or \`profile\` prints the same as a JSON Schema; the schemas are also in
[deploy/schema](../../deploy/schema). \`secret-resolver config validate\` checks files.

\`[]\` stands for each entry of a list, \`<name>\` for each key of a map. A required field of an optional object is required only
if the object is set. A field without a default is unset.
${sections.join('')}`;
  return new Map([['docs/reference/configuration.md', text]]);
}

/** The rows of the fields below a place. */
function children(path: string, schema: Schema): string[][] {
  const { properties = {}, required = [], items, additionalProperties: values } = schema;
  return [
    ...Object.entries(properties).flatMap(([name, field]) =>
      rows(path === '' ? name : `${path}.${name}`, field, required.includes(name)),
    ),
    ...(items === undefined ? [] : children(`${path}[]`, items)),
    ...(typeof values === 'object' ? children(`${path}.<name>`, values) : []),
    ...alternatives(schema).flatMap((each) => children(path, each)),
  ];
}

/** The types of a field that has several. Beside a type, `anyOf` is a rule. */
function alternatives({ type, anyOf = [] }: Schema): readonly Schema[] {
  return type === undefined ? anyOf : [];
}

function rows(path: string, schema: Schema, required: boolean): string[][] {
  const { title, description } = schema;
  const meaning = [title, description].filter((text) => text !== undefined).join('; ');
  return [
    [code(path), typeOf(schema), required ? '**required**' : defaultOf(schema), inline(meaning)],
    ...children(path, schema),
  ];
}

/** The default as YAML. That of an object is in the rows of its fields. */
function defaultOf({ default: value, properties }: Schema): string {
  return value === undefined || properties !== undefined
    ? ''
    : code(stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trim());
}

function typeOf(schema: Schema): string {
  const { items, additionalProperties: values } = schema;
  const types = alternatives(schema);
  if (types.length > 0) return either(types.map(typeOf));
  if (schema.enum !== undefined) return either(schema.enum.map(code));
  if (items !== undefined) return `list of ${plural(typeOf(items))}`;
  if (typeof values === 'object' && schema.properties === undefined)
    return `map of ${plural(typeOf(values))}`;
  return `${schema.type}${limits(schema)}`;
}

function plural(type: string): string {
  return type.replace(/^\w+/, '$&s').replace('(', '(each ');
}

function limits({ minimum, maximum, minLength, maxLength }: Schema): string {
  if (minimum !== undefined) return ` (${minimum} to ${maximum})`;
  if (maxLength === undefined) return minLength === undefined ? '' : ' (not empty)';
  return ` (${minLength === undefined ? 'at most' : `${minLength} to`} ${maxLength} characters)`;
}

function either(words: readonly string[]): string {
  return [words.slice(0, -1).join(', '), ...words.slice(-1)].filter((word) => word !== '').join(' or ');
}
