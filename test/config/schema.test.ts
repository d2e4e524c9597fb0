/** The published JSON Schemas judge a file as the loader does, and the copies in the repository are current. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseYaml } from '../../src/config/yaml-source.ts';
import { SCHEMAS } from '../../src/consumers/load-config.ts';
import { SCHEMA_DIRECTORY, staleFiles } from '../support/check-generated.ts';
import { cli } from '../support/cli.ts';
import { SANDBOX } from '../support/workspace.ts';
import { type Kind, MISTAKES } from './examples.ts';

const KINDS = Object.keys(SCHEMAS) as Kind[];
const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });
const published = Object.fromEntries(
  KINDS.map((kind) => [
    kind,
    ajv.compile(JSON.parse(readFileSync(join(SCHEMA_DIRECTORY, `${kind}.schema.json`), 'utf8'))),
  ]),
);

/** Whether the loader takes a text, as far as the text alone is concerned. */
function loads(kind: Kind, text: string): boolean {
  try {
    parseYaml('f', text)[0]?.validate(SCHEMAS[kind]);
    return true;
  } catch {
    return false;
  }
}

/** Both verdicts on one document. */
function verdicts(kind: Kind, document: unknown) {
  return {
    zod: SCHEMAS[kind].safeParse(document).success,
    ajv: published[kind]?.(document) === true,
  };
}

const source = { type: 'kubernetesSecret', namespace: 'tenant', name: 'nvbugs', key: 'db/password' };
const { key: _key, ...secret } = source;
const GOOD: Record<Kind, readonly object[]> = {
  config: [
    {},
    {
      sandbox: SANDBOX,
      secretsRoot: '/s',
      providersDir: '/p',
      profilesDir: '/q',
      socket: { path: '/run/a/b.sock', mode: '0660', gid: 5 },
      references: { allow: [{ namespace: 'tenant', name: 'a-*', keys: ['*', 'a/b'] }] },
      callers: [{ name: 'supervisor', uid: 0, gid: 1000, exe: '/opt/openshell/bin/*', providers: ['*'] }],
      agent: { uid: 1000, gid: 1000 },
      health: { listen: '0.0.0.0:8086' },
      metrics: { listen: '[::1]:65535' },
      log: { level: 'debug' },
      audit: { path: '/var/log/audit' },
      openshell: { package: 'openshell.v1', overLimit: 'refuse' },
      gatewayDriver: {
        socket: { path: '/run/a/c.sock', mode: '0666', gid: 5 },
        callers: [{ name: 'gateway', uid: 7, gid: 7, exe: '/opt/gateway' }],
        handleKey: { namespace: 'tenant', name: 'seal', key: 'new', previousKey: 'old' },
        workspaces: [{ name: 'default', secrets: [{ namespace: 'tenant', name: 'a', keys: ['b*'] }] }],
      },
      boundary: { warn: ['self-seccomp'], trusted: [{ uid: 0, exe: '/x' }] },
    },
  ],
  provider: [
    { provider: { name: 'a', type: 'gitlab', credentials: { TOKEN: { source } } } },
    {
      provider: { name: 'a', type: 'b', credentialsFrom: [{ source: secret, mode: 'providerProfileKeys' }] },
    },
    {
      provider: {
        name: 'a',
        type: 'b',
        credentials: {
          A: { source, required: true, expiresAt: 100_000_000_000, trim: 'none', format: 'jwt' },
          B: { source, expiresAt: { key: 'b' } },
          C: { source, expiresAt: '2027-01-31T00:00:00Z' },
        },
        credentialsFrom: [
          { source: secret, mode: 'allKeys', rename: { 'a-b': 'A_B' }, trim: 'none' },
          { source: secret, mode: 'allKeys', include: ['a*'], exclude: ['b/c'], format: { 'a.b': 'pem' } },
        ],
        endpoints: [{ host: '*.example', port: 443, path: '/x/**' }],
      },
    },
  ],
  profile: [
    { id: 'x' },
    {
      id: 'a-b',
      later: 1,
      credentials: [{ name: 'n', env_vars: ['A'], required: true, header_name: 'X' }],
      endpoints: [{ host: 'h', port: 1, ports: [1, 65535], path: '/', tls: 'x' }],
    },
  ],
};

test.each(KINDS)('%s: what is good is accepted by both', (kind) => {
  for (const document of GOOD[kind]) expect(verdicts(kind, document)).toEqual({ zod: true, ajv: true });
});

test.each(MISTAKES)('$kind: $name is judged alike', ({ kind, text, bySchema }) => {
  expect({ loader: loads(kind, text), ajv: published[kind]?.(parse(text)) }).toEqual({
    loader: !bySchema,
    ajv: !bySchema,
  });
});

/** Every path of a document, and what stands there. */
function places(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  const parts: [string | number, unknown][] = Array.isArray(value)
    ? value.map((part, index) => [index, part])
    : Object.entries(value);
  return [path, ...parts.flatMap(([name, part]) => places(part, [...path, name]))];
}

function changed(value: unknown, [first, ...rest]: readonly (string | number)[], to: unknown): unknown {
  if (first === undefined) return to;
  const copy = structuredClone(value) as Record<string | number, unknown>;
  const inner = changed(copy[first], rest, to);
  if (inner === undefined && !Array.isArray(copy)) delete copy[first];
  else copy[first] = inner;
  return copy;
}

const ODD = fc.oneof(
  fc.constantFrom<unknown>(
    undefined,
    null,
    true,
    0,
    -1,
    1,
    65534,
    65535,
    65536,
    4294967294,
    4294967295,
    1.5,
    '',
    'a',
    'A',
    'self',
    'a b',
    '/',
    '/a',
    '/a/',
    '/a/../b',
    '/tmp/x',
    '/run/x/y',
    '../a',
    '..a',
    '.',
    'a/./b',
    '*',
    '0660',
    '0661',
    '660',
    'a:1',
    ':1',
    '::1:5',
    '[::1]:70000',
    '127.0.0.1:99999',
    'v7_X',
    `s${'a'.repeat(64)}_X`,
    'a'.repeat(64),
    'a'.repeat(254),
    'https://x',
    'a{b}',
    '/x?y',
    'trailingNewline',
    'allKeys',
    'providerProfileKeys',
    'warn',
    [],
    [1],
    ['*'],
    {},
    { a: 1 },
    { key: 'x' },
    { key: '..' },
    { source },
    { v7_X: { source } },
    { 'a-b': 'B' },
    { '..a': 'B' },
  ),
  fc.string(),
  fc.integer(),
);

describe('whatever one value is changed to', () => {
  test.each(KINDS)('%s: both come to the same verdict', (kind) => {
    const places_ = GOOD[kind].flatMap((document) => places(document).map((path) => ({ document, path })));
    let refused = 0;
    fc.assert(
      fc.property(fc.constantFrom(...places_), ODD, ({ document, path }, odd) => {
        const wrong = changed(document, path, odd);
        const { zod, ajv } = verdicts(kind, wrong);
        if (!zod) refused += 1;
        expect(ajv, JSON.stringify(wrong)).toBe(zod);
      }),
      { numRuns: 3_000 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});

test.each(KINDS)('`config schema %s` prints the copy in deploy/schema', async (kind) => {
  const { code, stdout, stderr } = await cli(['config', 'schema', kind]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toBe(readFileSync(join(SCHEMA_DIRECTORY, `${kind}.schema.json`), 'utf8'));
});

test('`config schema` prints the one of the configuration, and knows its names', async () => {
  expect((await cli(['config', 'schema'])).stdout).toBe(
    readFileSync(join(SCHEMA_DIRECTORY, 'config.schema.json'), 'utf8'),
  );
  expect(await cli(['config', 'schema', 'toString'])).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringContaining('Allowed choices are config, provider, profile.'),
  });
});

interface SchemaNode {
  readonly $id?: string;
  readonly title?: string;
  readonly description?: string;
  readonly properties?: Record<string, SchemaNode>;
  readonly items?: SchemaNode;
  readonly additionalProperties?: SchemaNode | boolean;
}

/** Fields without a description, as paths. */
function undescribed(node: SchemaNode | boolean | undefined, path = ''): string[] {
  if (typeof node !== 'object') return [];
  return [
    ...Object.entries(node.properties ?? {}).flatMap(([name, child]) => [
      ...(child.description === undefined ? [`${path}.${name}`] : []),
      ...undescribed(child, `${path}.${name}`),
    ]),
    ...undescribed(node.items, `${path}[]`),
    ...undescribed(node.additionalProperties, `${path}.*`),
  ];
}

test.each(KINDS)('the schema of a %s has an id, a title, and a description of each field', (kind) => {
  const schema = JSON.parse(
    readFileSync(join(SCHEMA_DIRECTORY, `${kind}.schema.json`), 'utf8'),
  ) as SchemaNode;
  expect(schema.$id).toBe(`urn:secret-resolver:schema:${kind}`);
  expect(schema.title).toMatch(/\w/);
  expect(undescribed(schema)).toEqual([]);
});

test('all that is generated is current', () => {
  expect(staleFiles()).toEqual([]);
});
