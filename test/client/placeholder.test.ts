import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatPlaceholder,
  nameOf,
  type Placeholder,
  parsePlaceholder,
} from '../../src/client/placeholder.ts';
import { agentEnvironment } from '../../src/client/placeholder-environment.ts';
import { newSecret } from '../support/secrets.ts';
import { handleOf, RUNS, snapshot } from './placeholder-fixtures.ts';

const HANDLE = 'a1'.repeat(32);

const WELL_FORMED: readonly (readonly [string, Placeholder])[] = [
  ['openshell:resolve:env:GITLAB_TOKEN', { form: 'canonical', key: 'GITLAB_TOKEN' }],
  ['openshell:resolve:env:_', { form: 'canonical', key: '_' }],
  ['openshell:resolve:env:v42_KEY', { form: 'revision', revision: 42n, key: 'KEY' }],
  ['openshell:resolve:env:v0_KEY', { form: 'revision', revision: 0n, key: 'KEY' }],
  [
    'openshell:resolve:env:v18446744073709551615_KEY',
    { form: 'revision', revision: 18446744073709551615n, key: 'KEY' },
  ],
  [`openshell:resolve:env:s${HANDLE}_KEY`, { form: 'handle', handle: HANDLE, key: 'KEY' }],
  [
    'xoxb-OPENSHELL-RESOLVE-ENV-KEY',
    { form: 'alias', prefix: 'xoxb-', name: { form: 'canonical', key: 'KEY' } },
  ],
  [
    `sk.~_-OPENSHELL-RESOLVE-ENV-s${HANDLE}_KEY`,
    { form: 'alias', prefix: 'sk.~_-', name: { form: 'handle', handle: HANDLE, key: 'KEY' } },
  ],
  [
    'sk-OPENSHELL-RESOLVE-ENV-v7_KEY',
    { form: 'alias', prefix: 'sk-', name: { form: 'revision', revision: 7n, key: 'KEY' } },
  ],
  // Names that begin like a reserved one and are none.
  ['openshell:resolve:env:v_KEY', { form: 'canonical', key: 'v_KEY' }],
  ['openshell:resolve:env:v1KEY', { form: 'canonical', key: 'v1KEY' }],
  ['openshell:resolve:env:sKEY', { form: 'canonical', key: 'sKEY' }],
];

const MALFORMED: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['no key', 'openshell:resolve:env:'],
  ['a key that begins with a digit', 'openshell:resolve:env:1KEY'],
  ['a key with a dash', 'openshell:resolve:env:MY-KEY'],
  ['text behind the key', 'openshell:resolve:env:KEY '],
  ['text in front', ' openshell:resolve:env:KEY'],
  ['another case of the prefix', 'OpenShell:resolve:env:KEY'],
  ['a revision without a key', 'openshell:resolve:env:v42_'],
  ['a second spelling of a revision', 'openshell:resolve:env:v042_KEY'],
  ['a revision above u64', 'openshell:resolve:env:v18446744073709551616_KEY'],
  ['a handle without a key', `openshell:resolve:env:s${HANDLE}_`],
  ['a reserved name behind a revision', 'openshell:resolve:env:v1_v2_KEY'],
  ['a reserved name behind a handle', `openshell:resolve:env:s${HANDLE}_s${HANDLE}_KEY`],
  ['a key above 256 bytes', `openshell:resolve:env:${'K'.repeat(257)}`],
  ['an alias without a prefix', 'OPENSHELL-RESOLVE-ENV-KEY'],
  ['an alias without a key', 'xoxb-OPENSHELL-RESOLVE-ENV-'],
  ['an alias whose prefix has a colon', 'a:b-OPENSHELL-RESOLVE-ENV-KEY'],
  ['an alias that goes on behind the key', 'xoxb-OPENSHELL-RESOLVE-ENV-KEY-more'],
  ['no marker at all', 'glpat-something'],
];

describe('placeholders', () => {
  it.each(WELL_FORMED)('reads and writes %s', (text, placeholder) => {
    expect(parsePlaceholder(text)).toEqual(placeholder);
    expect(formatPlaceholder(placeholder)).toBe(text);
    expect(nameOf(placeholder).key).toMatch(/KEY|TOKEN|_/);
  });

  it.each(MALFORMED)('does not read %s', (_, text) => {
    expect(parsePlaceholder(text)).toBeUndefined();
  });

  it.each<readonly [string, Placeholder]>([
    ['a key that is none', { form: 'canonical', key: 'MY-KEY' }],
    ['a key that reads as a revision', { form: 'canonical', key: 'v1_KEY' }],
    ['a handle in capitals', { form: 'handle', handle: 'A1'.repeat(32), key: 'KEY' }],
    ['a revision above u64', { form: 'revision', revision: 2n ** 64n, key: 'KEY' }],
    ['a negative revision', { form: 'revision', revision: -1n, key: 'KEY' }],
    ['an empty prefix', { form: 'alias', prefix: '', name: { form: 'canonical', key: 'KEY' } }],
    ['a prefix with a space', { form: 'alias', prefix: 'a b', name: { form: 'canonical', key: 'KEY' } }],
  ])('does not write %s', (_, placeholder) => {
    expect(() => formatPlaceholder(placeholder)).toThrow(RangeError);
  });

  it('parse after format is the identity', () => {
    fc.assert(
      fc.property(placeholders, (placeholder) => {
        expect(parsePlaceholder(formatPlaceholder(placeholder))).toEqual(placeholder);
      }),
      { numRuns: RUNS },
    );
  });

  it('format after parse is the identity, on any text that parses', () => {
    const pieces = fc.constantFrom(
      'openshell:resolve:env:',
      'OPENSHELL-RESOLVE-ENV-',
      'v7_',
      'v07_',
      `s${HANDLE}_`,
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string({ maxLength: 4 })), { maxLength: 5 }), (parts) => {
        const placeholder = parsePlaceholder(parts.join(''));
        if (placeholder !== undefined) expect(formatPlaceholder(placeholder)).toBe(parts.join(''));
      }),
      { numRuns: RUNS },
    );
  });
});

describe('the environment of an agent', () => {
  it('holds a stable handle for each credential that can resolve, and no value', () => {
    const secret = newSecret();
    const environment = snapshot([
      { key: 'GITLAB_TOKEN', value: secret },
      { key: 'UNBOUND', value: secret, endpoints: [] },
      { key: 'v1_RESERVED', value: secret },
    ]);
    const given = agentEnvironment(environment);
    expect(given).toEqual({
      GITLAB_TOKEN: `openshell:resolve:env:s${handleOf('GITLAB_TOKEN')}_GITLAB_TOKEN`,
    });
    expect(JSON.stringify(given)).not.toContain(secret);
  });
});

const keys = fc
  .stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,40}$/)
  .filter((key) => !/^(v[0-9]+_|s[0-9a-f]{64}_|__proto__$)/.test(key));
const names = fc.oneof(
  fc.record({ form: fc.constant('canonical' as const), key: keys }),
  fc.record({ form: fc.constant('revision' as const), key: keys, revision: fc.bigInt(0n, 2n ** 64n - 1n) }),
  fc.record({ form: fc.constant('handle' as const), key: keys, handle: fc.stringMatching(/^[0-9a-f]{64}$/) }),
);
const placeholders: fc.Arbitrary<Placeholder> = fc.oneof(
  names,
  fc.record({
    form: fc.constant('alias' as const),
    prefix: fc
      .stringMatching(/^[A-Za-z0-9_.~-]{1,12}$/)
      .filter((prefix) => !prefix.includes('OPENSHELL-RESOLVE-ENV-')),
    name: names,
  }),
);
