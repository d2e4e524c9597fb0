/** Each rule of OpenShell's provider environment, violated on its own. */
import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyOpenShellRules,
  encodedBytes,
  explainViolation,
  isServableRevision,
  OPENSHELL_LIMITS,
  type OpenShellCandidate,
  RESERVED_BYTES,
  type Violation,
  violationsOf,
} from '../../src/consumers/openshell/openshell-rules.ts';
import { ProviderEnvironmentSchema } from '../../src/gen/secretresolver/v1/resolver_pb.ts';

const WARN = { overLimit: 'warn' } as const;
const REFUSE = { overLimit: 'refuse' } as const;

let made = 0;

/** A candidate that violates no rule. Its identity follows its name by default. */
function candidate(change: Partial<OpenShellCandidate> = {}): OpenShellCandidate {
  const { provider = 'gitlab', key = 'GITLAB_TOKEN' } = change;
  return {
    provider,
    key,
    identity: `${provider}:${key}`,
    handle: (++made).toString(16).padStart(64, '0'),
    endpoints: [{ host: 'gitlab.example.com', port: 443, path: '' }],
    expiresAtMs: undefined,
    valueBytes: 26,
    hasForbiddenByte: false,
    ...change,
  };
}

const endpoint = (change: object) => ({
  endpoints: [
    { host: 'gitlab.example.com', port: 443, path: '' },
    { host: 'gitlab.example.com', port: 443, path: '', ...change },
  ],
});

const BROKEN: readonly (readonly [string, Partial<OpenShellCandidate>, Violation])[] = [
  ['a name with a dash', { key: 'GITLAB-TOKEN' }, { rule: 'key-not-a-name' }],
  ['a name that begins with a digit', { key: '1TOKEN' }, { rule: 'key-not-a-name' }],
  ['an empty name', { key: '' }, { rule: 'key-not-a-name' }],
  ['a name that reads as a revision', { key: 'v7_TOKEN' }, { rule: 'key-reserved' }],
  ['a name that reads as a handle', { key: `s${'a'.repeat(64)}_TOKEN` }, { rule: 'key-reserved' }],
  ['a name of 257 bytes', { key: 'K'.repeat(257) }, { rule: 'key-too-long', bytes: 257 }],
  ['no identity', { identity: '' }, { rule: 'identity-not-provider-and-key' }],
  ['another identity', { identity: 'github:GITLAB_TOKEN' }, { rule: 'identity-not-provider-and-key' }],
  ['no provider', { provider: '' }, { rule: 'identity-not-provider-and-key' }],
  ['no handle', { handle: '' }, { rule: 'handle-not-64-hex' }],
  ['a handle in capitals', { handle: 'A'.repeat(64) }, { rule: 'handle-not-64-hex' }],
  ['a handle of 63 digits', { handle: 'a'.repeat(63) }, { rule: 'handle-not-64-hex' }],
  ['no endpoint', { endpoints: [] }, { rule: 'no-endpoint' }],
  ['no host', endpoint({ host: '' }), { rule: 'endpoint-host', index: 1 }],
  ['braces in a host', endpoint({ host: '{a,b}.example.com' }), { rule: 'endpoint-host', index: 1 }],
  ['an empty label', endpoint({ host: 'a..example.com' }), { rule: 'endpoint-host', index: 1 }],
  ['two stars within a label', endpoint({ host: 'a**.example.com' }), { rule: 'endpoint-host', index: 1 }],
  ['three stars', endpoint({ host: '***.com' }), { rule: 'endpoint-host', index: 1 }],
  ['an open bracket', endpoint({ host: '[ab.example.com' }), { rule: 'endpoint-host', index: 1 }],
  ['a port in a host', endpoint({ host: 'example.com:443' }), { rule: 'endpoint-host', index: 1 }],
  ['a host of 254 bytes', endpoint({ host: `${'a'.repeat(250)}.com` }), { rule: 'endpoint-host', index: 1 }],
  ['port 0', endpoint({ port: 0 }), { rule: 'endpoint-port', index: 1 }],
  ['port 65536', endpoint({ port: 65536 }), { rule: 'endpoint-port', index: 1 }],
  ['half a port', endpoint({ port: 443.5 }), { rule: 'endpoint-port', index: 1 }],
  ['a path without a slash', endpoint({ path: 'api' }), { rule: 'endpoint-path', index: 1 }],
  ['a query in a path', endpoint({ path: '/api?x' }), { rule: 'endpoint-path', index: 1 }],
  ['braces in a path', endpoint({ path: '/{a,b}' }), { rule: 'endpoint-path', index: 1 }],
  ['an expiry of 0', { expiresAtMs: 0 }, { rule: 'expiry-not-positive' }],
  ['an expiry below 0', { expiresAtMs: -1 }, { rule: 'expiry-not-positive' }],
  ['an expiry that is no number', { expiresAtMs: Number.NaN }, { rule: 'expiry-not-positive' }],
  ['an empty value', { valueBytes: 0 }, { rule: 'value-empty' }],
  ['CR, LF or NUL in the value', { hasForbiddenByte: true }, { rule: 'value-forbidden-byte' }],
];

describe("OpenShell's rules for one credential", () => {
  it.each<readonly [string, Partial<OpenShellCandidate>]>([
    ['a plain one', {}],
    ['the longest name', { key: 'K'.repeat(256) }],
    ['the longest value', { valueBytes: 8192 }],
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
    expect(violationsOf(candidate(change))).toEqual([]);
    expect(applyOpenShellRules([candidate(change)], REFUSE).refused).toEqual([]);
  });

  it.each(BROKEN)('refuses %s, alone', (_, change, violation) => {
    const broken = candidate(change);
    const whole = candidate({ key: 'OTHER_TOKEN' });
    expect(violationsOf(broken)).toEqual([violation]);
    expect(applyOpenShellRules([broken, whole], REFUSE)).toEqual({
      accepted: [whole],
      refused: [{ candidate: broken, violations: [violation] }],
      warned: [],
    });
  });

  it('reports all violations at once', () => {
    const broken = candidate({ key: 'v7_TOKEN', endpoints: [], hasForbiddenByte: true });
    expect(violationsOf(broken).map(({ rule }) => rule)).toEqual([
      'key-reserved',
      'no-endpoint',
      'value-forbidden-byte',
    ]);
  });

  it('refuses a value of 8193 bytes, or warns about it, as configured', () => {
    const long = candidate({ valueBytes: 8193 });
    const judged = { candidate: long, violations: [{ rule: 'value-too-long', bytes: 8193 }] };
    expect(applyOpenShellRules([long], REFUSE)).toEqual({ accepted: [], refused: [judged], warned: [] });
    expect(applyOpenShellRules([long], WARN)).toEqual({ accepted: [long], refused: [], warned: [judged] });
  });

  it('reports a limit only if no other rule is violated', () => {
    const long = candidate({ valueBytes: 8193, endpoints: [] });
    const { refused, warned } = applyOpenShellRules([long], WARN);
    expect(refused).toEqual([{ candidate: long, violations: [{ rule: 'no-endpoint' }] }]);
    expect(warned).toEqual([]);
  });
});

describe("OpenShell's rules for a set", () => {
  const words = (judged: readonly { candidate: OpenShellCandidate; violations: readonly Violation[] }[]) =>
    judged.map(({ candidate: { identity }, violations }) => [
      identity,
      ...violations.map(({ rule }) => rule),
    ]);
  const rules = (candidates: readonly OpenShellCandidate[]) => {
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
    const large = 1024 * 1024;
    const many = ['A', 'B', 'C', 'D'].map((key) => candidate({ key, valueBytes: large }));
    const { accepted, refused } = applyOpenShellRules([...many, candidate({ key: 'E' })], WARN);
    expect(accepted.map(({ key }) => key)).toEqual(['A', 'B', 'C', 'E']);
    expect(words(refused)).toEqual([['gitlab:D', 'message-too-large']]);
  });

  it('gives the same verdict in any order', () => {
    const all = [
      ...Array.from({ length: 40 }, (_, index) => candidate({ key: `K${index}`, valueBytes: 8_000 })),
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
      handle: text,
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
        const sent = candidate({ ...rest, endpoints });
        const { key } = sent;
        const message = create(ProviderEnvironmentSchema, {
          environment: { [key]: new Uint8Array(sent.valueBytes) },
          credentialExpiresAtMs: rest.expiresAtMs === undefined ? {} : { [key]: BigInt(rest.expiresAtMs) },
          staticCredentialBindings: {
            [key]: { endpoints, credentialIdentity: sent.identity, workloadCredentialHandle: sent.handle },
          },
          credentialProviders: { [key]: sent.provider },
        });
        expect(toBinary(ProviderEnvironmentSchema, message).byteLength).toBeLessThanOrEqual(
          encodedBytes(sent),
        );
      }),
      { numRuns: process.env.CI === 'true' ? 10_000 : 1_000 },
    );
  });

  it('leaves room for the rest of the message', () => {
    expect(RESERVED_BYTES).toBeLessThan(OPENSHELL_LIMITS.messageBytes / 8);
  });
});

it('a revision is never 0 and fits into 64 bits', () => {
  expect([0n, -1n, 2n ** 64n].map(isServableRevision)).toEqual([false, false, false]);
  expect([1n, 2n ** 64n - 1n].map(isServableRevision)).toEqual([true, true]);
});

it('every rule has its own text', () => {
  const violations: Violation[] = [
    ...BROKEN.map(([, , violation]) => violation),
    { rule: 'value-too-long', bytes: 8193 },
    { rule: 'key-claimed-twice' },
    { rule: 'handle-claimed-twice' },
    { rule: 'too-many-providers' },
    { rule: 'too-many-credentials' },
    { rule: 'message-too-large' },
  ];
  const words = new Map(violations.map((violation) => [violation.rule, explainViolation(violation)]));
  expect(words.size).toBe(18);
  expect(new Set(words.values()).size).toBe(18);
});
