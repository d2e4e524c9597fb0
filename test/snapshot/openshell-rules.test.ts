/** Each rule of OpenShell's provider environment, violated on its own. */
import { create, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyOpenShellRules,
  type Judged,
  type Violation,
} from '../../src/consumers/openshell/openshell-rules.ts';
import { SecretValue } from '../../src/domain/secret-value.ts';
import { ProviderEnvironmentSchema } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { encodedSize, type ServedCredential } from '../../src/snapshot/resolve.ts';

const WARN = { overLimit: 'warn' } as const;
const REFUSE = { overLimit: 'refuse' } as const;

let made = 0;

const value = (text: string | Buffer) => ({ value: SecretValue.from(Buffer.from(text)) });

/** A credential that violates no rule. Its identity follows its name by default. */
function candidate(change: Partial<ServedCredential> = {}): ServedCredential {
  const { provider = 'gitlab', key = 'GITLAB_TOKEN' } = change;
  return {
    provider,
    key,
    identity: `${provider}:${key}`,
    reference: { namespace: 'agents', name: 'it', key },
    required: false,
    handle: (++made).toString(16).padStart(64, '0'),
    endpoints: [{ host: 'gitlab.example.com', port: 443, path: '' }],
    expiresAtMs: undefined,
    ...value('v'.repeat(26)),
    ...change,
  };
}

const endpoint = (change: object) => ({
  endpoints: [
    { host: 'gitlab.example.com', port: 443, path: '' },
    { host: 'gitlab.example.com', port: 443, path: '', ...change },
  ],
});

const WHY = {
  'key-not-a-name': 'the name is not an environment variable name',
  'key-reserved': 'the name reads as a revision or a handle inside a placeholder',
  'identity-not-provider-and-key': 'the identity is not <provider>:<key>',
  'handle-not-64-hex': 'the handle is not 64 lowercase hexadecimal digits',
  'no-endpoint': 'the credential is bound to no endpoint',
  'expiry-not-positive': 'the expiry is not a positive number of milliseconds',
  'value-empty': 'the value is empty',
  'value-forbidden-byte': 'the value holds CR, LF or NUL',
  'endpoint-host': 'endpoint 1: the host is not a name with a glob in each label and without braces',
  'endpoint-port': 'endpoint 1: the port is not from 1 to 65535',
  'endpoint-path': 'endpoint 1: the path is neither empty nor a path or glob that begins with "/"',
  'key-too-long': 'the name has 257 bytes; OpenShell takes 256',
};

const BROKEN: readonly (readonly [string, Partial<ServedCredential>, keyof typeof WHY])[] = [
  ['a name with a dash', { key: 'GITLAB-TOKEN' }, 'key-not-a-name'],
  ['a name that begins with a digit', { key: '1TOKEN' }, 'key-not-a-name'],
  ['an empty name', { key: '' }, 'key-not-a-name'],
  ['a name that reads as a revision', { key: 'v7_TOKEN' }, 'key-reserved'],
  ['a name that reads as a handle', { key: `s${'a'.repeat(64)}_TOKEN` }, 'key-reserved'],
  ['a name of 257 bytes', { key: 'K'.repeat(257) }, 'key-too-long'],
  ['no identity', { identity: '' }, 'identity-not-provider-and-key'],
  ['another identity', { identity: 'github:GITLAB_TOKEN' }, 'identity-not-provider-and-key'],
  ['no provider', { provider: '' }, 'identity-not-provider-and-key'],
  ['no handle', { handle: '' }, 'handle-not-64-hex'],
  ['a handle in capitals', { handle: 'A'.repeat(64) }, 'handle-not-64-hex'],
  ['a handle of 63 digits', { handle: 'a'.repeat(63) }, 'handle-not-64-hex'],
  ['no endpoint', { endpoints: [] }, 'no-endpoint'],
  ['no host', endpoint({ host: '' }), 'endpoint-host'],
  ['braces in a host', endpoint({ host: '{a,b}.example.com' }), 'endpoint-host'],
  ['an empty label', endpoint({ host: 'a..example.com' }), 'endpoint-host'],
  ['two stars within a label', endpoint({ host: 'a**.example.com' }), 'endpoint-host'],
  ['three stars', endpoint({ host: '***.com' }), 'endpoint-host'],
  ['an open bracket', endpoint({ host: '[ab.example.com' }), 'endpoint-host'],
  ['a port in a host', endpoint({ host: 'example.com:443' }), 'endpoint-host'],
  ['a host of 254 bytes', endpoint({ host: `${'a'.repeat(250)}.com` }), 'endpoint-host'],
  ['port 0', endpoint({ port: 0 }), 'endpoint-port'],
  ['port 65536', endpoint({ port: 65536 }), 'endpoint-port'],
  ['half a port', endpoint({ port: 443.5 }), 'endpoint-port'],
  ['a path without a slash', endpoint({ path: 'api' }), 'endpoint-path'],
  ['a query in a path', endpoint({ path: '/api?x' }), 'endpoint-path'],
  ['braces in a path', endpoint({ path: '/{a,b}' }), 'endpoint-path'],
  ['an expiry of 0', { expiresAtMs: 0 }, 'expiry-not-positive'],
  ['an expiry below 0', { expiresAtMs: -1 }, 'expiry-not-positive'],
  ['an expiry that is no number', { expiresAtMs: Number.NaN }, 'expiry-not-positive'],
  ['an empty value', value(''), 'value-empty'],
  ['CR in the value', value('a\rb'), 'value-forbidden-byte'],
  ['LF in the value', value('a\nb'), 'value-forbidden-byte'],
  ['NUL in the value', value('a\0b'), 'value-forbidden-byte'],
];

describe("OpenShell's rules for one credential", () => {
  it.each<readonly [string, Partial<ServedCredential>]>([
    ['a plain one', {}],
    ['the longest name', { key: 'K'.repeat(256) }],
    ['the longest value', value('v'.repeat(8192))],
    ['a glob for a host', endpoint({ host: '*.s3.*.amazonaws.com' })],
    ['any path', endpoint({ path: '/**' })],
    ['a path and below', endpoint({ path: '/api/**' })],
    ['a glob for a path', endpoint({ path: '/bot*/getMe' })],
    [
      'the first and the last port',
      { endpoints: [endpoint({ port: 1 }).endpoints, endpoint({ port: 65535 }).endpoints].flat() },
    ],
    ['an expiry', { expiresAtMs: 1 }],
  ])('takes %s', (_, change) => {
    expect(applyOpenShellRules([candidate(change)], REFUSE).refused).toEqual([]);
  });

  it.each(BROKEN)('refuses %s, alone', (_, change, rule) => {
    const broken = candidate(change);
    const whole = candidate({ key: 'OTHER_TOKEN' });
    expect(applyOpenShellRules([broken, whole], REFUSE)).toEqual({
      accepted: [whole],
      refused: [{ credential: broken, violations: [{ rule, why: WHY[rule] }] }],
      warned: [],
    });
  });

  it('reports all violations at once', () => {
    const broken = candidate({ key: 'v7_TOKEN', endpoints: [], ...value('a\rb') });
    expect(applyOpenShellRules([broken], WARN).refused[0]?.violations.map(({ rule }) => rule)).toEqual([
      'key-reserved',
      'no-endpoint',
      'value-forbidden-byte',
    ]);
  });

  it('refuses a value of 8193 bytes, or warns about it, as configured', () => {
    const long = candidate(value('v'.repeat(8193)));
    const why = 'the value has 8193 bytes; OpenShell takes 8192';
    const judged = { credential: long, violations: [{ rule: 'value-too-long', why }] };
    expect(applyOpenShellRules([long], REFUSE)).toEqual({ accepted: [], refused: [judged], warned: [] });
    expect(applyOpenShellRules([long], WARN)).toEqual({ accepted: [long], refused: [], warned: [judged] });
  });

  it('reports a limit only if no other rule is violated', () => {
    const long = candidate({ ...value('v'.repeat(8193)), endpoints: [] });
    const { refused, warned } = applyOpenShellRules([long], WARN);
    expect(refused).toMatchObject([{ credential: long, violations: [{ rule: 'no-endpoint' }] }]);
    expect(warned).toEqual([]);
  });
});

describe("OpenShell's rules for a set", () => {
  const words = (judged: readonly Judged[]) =>
    judged.map(({ credential: { identity }, violations }) => [
      identity,
      ...violations.map(({ rule }) => rule),
    ]);
  const rules = (candidates: readonly ServedCredential[]) => {
    const { accepted, refused } = applyOpenShellRules(candidates, REFUSE);
    return { accepted: accepted.map(({ identity }) => identity), refused: words(refused) };
  };

  it('withholds a name that two providers claim', () => {
    expect(
      rules([candidate({ provider: 'b' }), candidate({ provider: 'a' }), candidate({ key: 'X' })]),
    ).toEqual({
      accepted: ['gitlab:X'],
      refused: [
        ['a:GITLAB_TOKEN', 'key-claimed-twice'],
        ['b:GITLAB_TOKEN', 'key-claimed-twice'],
      ],
    });
  });

  it('withholds both credentials that share a handle', () => {
    const handle = 'f'.repeat(64);
    expect(rules([candidate({ handle }), candidate({ key: 'X', handle })]).refused).toEqual([
      ['gitlab:GITLAB_TOKEN', 'handle-claimed-twice'],
      ['gitlab:X', 'handle-claimed-twice'],
    ]);
  });

  it('accepts 32 providers, and does not count one whose credentials are all refused', () => {
    const named = (index: number) => `p${String(index).padStart(2, '0')}`;
    const many = Array.from({ length: 34 }, (_, index) =>
      candidate({ provider: named(index), key: `K${index}` }),
    );
    const result = rules([candidate({ provider: 'a', key: 'A', endpoints: [] }), ...many]);
    expect(result.accepted).toHaveLength(32);
    expect(result.refused).toEqual([
      ['a:A', 'no-endpoint'],
      ['p32:K32', 'too-many-providers'],
      ['p33:K33', 'too-many-providers'],
    ]);
    const lenient = applyOpenShellRules(many, WARN);
    expect(lenient.accepted).toHaveLength(34);
    expect(words(lenient.warned)).toEqual([
      ['p32:K32', 'too-many-providers'],
      ['p33:K33', 'too-many-providers'],
    ]);
  });

  it('accepts 32 credentials of a provider', () => {
    const many = Array.from({ length: 33 }, (_, index) =>
      candidate({ key: `K${String(index).padStart(2, '0')}` }),
    );
    const result = rules([...many, candidate({ provider: 'other', key: 'X' })]);
    expect(result.accepted).toHaveLength(33);
    expect(result.refused).toEqual([['gitlab:K32', 'too-many-credentials']]);
    expect(words(applyOpenShellRules(many, WARN).warned)).toEqual([['gitlab:K32', 'too-many-credentials']]);
  });

  it('accepts what fits into one message, and a small credential after one that did not fit', () => {
    const large = Buffer.alloc(1024 * 1024, 'v');
    const many = ['A', 'B', 'C', 'D'].map((key) => candidate({ key, ...value(large) }));
    const { accepted, refused } = applyOpenShellRules([...many, candidate({ key: 'E' })], WARN);
    expect(accepted.map(({ key }) => key)).toEqual(['A', 'B', 'C', 'E']);
    expect(words(refused)).toEqual([['gitlab:D', 'message-too-large']]);
  });

  it('gives the same verdict in any order', () => {
    const all = [
      ...Array.from({ length: 40 }, (_, index) =>
        candidate({ key: `K${index}`, ...value('v'.repeat(8_000)) }),
      ),
      candidate({ provider: 'other', key: 'K1' }),
      candidate({ key: 'bad-name' }),
    ];
    const expected = rules(all);
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (shuffled) => {
        expect(rules(shuffled)).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });
});

describe('the size of a response', () => {
  it('never exceeds the estimate', () => {
    const text = fc.string({ maxLength: 300 });
    const sizes = fc.record({
      provider: text,
      key: text,
      host: text,
      path: text,
      port: fc.integer({ min: 1, max: 65535 }),
      endpoints: fc.nat({ max: 4 }),
      valueBytes: fc.nat({ max: 70_000 }),
      expiresAtMs: fc.option(fc.maxSafeNat(), { nil: undefined }),
    });
    fc.assert(
      fc.property(sizes, ({ host, port, path, endpoints: count, ...rest }) => {
        const endpoints = Array.from({ length: count }, () => ({ host, port, path }));
        const { key, provider, expiresAtMs, valueBytes } = rest;
        const sent = candidate({ key, provider, expiresAtMs, endpoints, ...value(Buffer.alloc(valueBytes)) });
        const message = create(ProviderEnvironmentSchema, {
          environment: { [key]: new Uint8Array(valueBytes) },
          ...(expiresAtMs !== undefined && {
            credentialExpiresAtMs: { [key]: BigInt(expiresAtMs) },
            credentialExpirationTimes: { [key]: timestampFromMs(expiresAtMs) },
          }),
          staticCredentialBindings: {
            [key]: { endpoints, credentialIdentity: sent.identity, workloadCredentialHandle: sent.handle },
          },
          credentialProviders: { [key]: sent.provider },
        });
        expect(toBinary(ProviderEnvironmentSchema, message).byteLength).toBeLessThanOrEqual(
          encodedSize(sent),
        );
      }),
      { numRuns: process.env.CI === 'true' ? 10_000 : 1_000 },
    );
  });
});

it('every rule of a set has its own text', () => {
  const numbers = Array.from({ length: 33 }, (_, index) => index);
  const handle = 'f'.repeat(64);
  const sets = [
    [candidate({ provider: 'a' }), candidate({ provider: 'b' })],
    [candidate({ handle }), candidate({ key: 'X', handle })],
    numbers.map((index) => candidate({ provider: `p${index}`, key: `K${index}` })),
    numbers.map((index) => candidate({ key: `K${index}` })),
    ['A', 'B', 'C', 'D'].map((key) => candidate({ key, ...value(Buffer.alloc(1024 * 1024, 'v')) })),
  ];
  const violations = sets.flatMap((set) =>
    applyOpenShellRules(set, REFUSE).refused.flatMap((judged): readonly Violation[] => judged.violations),
  );
  expect(Object.fromEntries(violations.map(({ rule, why }) => [rule, why]))).toMatchObject({
    'key-claimed-twice': 'another credential has the same name',
    'handle-claimed-twice': 'another credential has the same handle',
    'too-many-providers': 'OpenShell takes 32 providers a sandbox',
    'too-many-credentials': 'OpenShell takes 32 credentials a provider',
  });
  const [large] = applyOpenShellRules(sets.at(-1) ?? [], WARN).refused;
  expect(large?.violations.map(({ why }) => why)).toEqual([
    'the response would be larger than 4194304 bytes',
  ]);
});
