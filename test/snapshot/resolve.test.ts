import { describe, expect, it } from 'vitest';
import type { ExplicitCredential } from '../../src/config/config.ts';
import { REMEDIES, type RefusalReason } from '../../src/snapshot/refusal.ts';
import { resolve } from '../../src/snapshot/resolve.ts';
import { VOLUME_REMEDIES, type VolumeFault, type VolumeRead } from '../../src/sources/index.ts';
import type { KeyFault } from '../../src/sources/source.ts';
import { newSecret } from '../support/secrets.ts';
import {
  bulk,
  config,
  credential,
  ENDPOINTS,
  faulty,
  generation,
  type Keys,
  NOW,
  outcome,
  provider,
  reads,
  resolveOne,
  SECRET,
} from './given.ts';

describe('a credential that may be served', () => {
  it('has value, reference, endpoints, identity, handle, and no expiry', () => {
    const token = newSecret();
    const { resolution } = resolveOne({ required: true }, { token });
    expect(resolution).toMatchObject({ refusals: [], oversize: [], nextExpiryMs: undefined });
    expect(resolution.credentials).toEqual([
      {
        provider: 'gitlab',
        key: 'TOKEN',
        value: expect.anything(),
        reference: { ...SECRET, key: 'token' },
        required: true,
        endpoints: ENDPOINTS,
        identity: 'gitlab:TOKEN',
        handle: expect.stringMatching(/^[0-9a-f]{64}$/),
        expiresAtMs: undefined,
      },
    ]);
    expect(resolution.credentials[0]?.value.reveal().toString()).toBe(token);
  });

  it('keeps its handle and every other field except the value across rotations', () => {
    const [a, b] = [newSecret(), newSecret()].map(
      (token) => resolveOne({}, { token }).resolution.credentials[0],
    );
    expect(a?.handle).toBe(b?.handle);
    expect(a?.value.equals(b!.value)).toBe(false);
    expect({ ...a, value: 0 }).toEqual({ ...b, value: 0 });
  });

  it('is marked as oversize above 8192 bytes', () => {
    const sizes = (length: number) =>
      resolveOne({}, { token: 'x'.repeat(length) }).resolution.oversize.length;
    expect([sizes(8192), sizes(8193)]).toEqual([0, 1]);
  });
});

describe('refuses', () => {
  const refusals: Record<RefusalReason, () => unknown> = {
    ...fromEach(Object.keys(VOLUME_REMEDIES) as VolumeFault[], (fault) => resolveOne({}, faulty(fault))),
    ...fromEach(['key-missing', 'not-a-file', 'symlink', 'too-large'] satisfies KeyFault[], (fault) =>
      resolveOne({}, { token: { fault } }),
    ),
    'reference-not-allowed': () =>
      resolveOne({ reference: { namespace: 'other', name: 'credentials', key: 'token' } }, { token: 'x' }),
    'illegal-name': () => resolveOne({ key: 'A-B' }, { token: 'x' }),
    'reserved-name': () => resolveOne({ key: 'LD_PRELOAD' }, { token: 'x' }),
    'claimed-twice': () =>
      outcome(
        resolve(
          config([
            provider({ credentials: [credential()] }),
            provider({ name: 'b', credentials: [credential()] }),
          ]),
          reads(generation({ token: 'x' })),
          NOW,
        ),
      ),
    'no-endpoints': () =>
      outcome(
        resolve(
          config([provider({ endpoints: [], credentials: [credential()] })]),
          reads(generation({ token: 'x' })),
          NOW,
        ),
      ),
    empty: () => resolveOne({}, { token: '' }),
    'value-too-large': () => resolveOne({}, { token: 'x'.repeat(65_537) }),
    'not-utf8': () => resolveOne({}, { token: Buffer.from([0xff]) }),
    'line-break-or-nul': () => resolveOne({}, { token: 'a\nb' }),
    'not-json': () => resolveOne({ format: 'json' }, { token: '{' }),
    'not-pem': () => resolveOne({ format: 'pem' }, { token: 'x' }),
    'pem-escaped-newlines': () =>
      resolveOne({ format: 'pem' }, { token: '-----BEGIN A-----\\nMA==\\n-----END A-----' }),
    'pem-indented': () =>
      resolveOne({ format: 'pem' }, { token: ' -----BEGIN A-----\n MA==\n -----END A-----' }),
    'byte-order-mark': () => resolveOne({ trim: 'none' }, { token: '\ufeffx' }),
    'not-jwt': () => resolveOne({ format: 'jwt' }, { token: 'x' }),
    expired: () => resolveOne({ expiresAt: { atMs: NOW } }, { token: 'x' }),
    'expiry-malformed': () => resolveOne({ expiresAt: { key: 'until' } }, { token: 'x', until: 'soon' }),
    'response-too-large': () => overfull().outcome,
    'provider-withheld': () =>
      outcome(
        resolve(
          config([
            provider({
              credentials: [
                credential(),
                credential({ key: 'GONE', required: true, reference: { ...SECRET, key: 'gone' } }),
              ],
            }),
          ]),
          reads(generation({ token: 'x' })),
          NOW,
        ),
      ),
  };

  it.each(Object.entries(refusals))('%s, serves nothing instead, and gives advice', (reason, arranged) => {
    const { served, refused } = arranged() as ReturnType<typeof outcome>;
    expect(Object.values(refused)).toContain(reason);
    const key = Object.keys(refused).find((name) => refused[name] === reason) ?? '';
    expect(Object.keys(served)).not.toContain(key);
    expect(REMEDIES[reason as RefusalReason]).toMatch(/^[a-zA-Z`].{10,}$/);
  });

  it('a key that the generation does not list', () => {
    expect(resolveOne({}, {}).refused).toEqual({ TOKEN: 'key-missing' });
  });

  it('a Secret that was never read', () => {
    const given = config([provider({ credentials: [credential()] })]);
    expect(outcome(resolve(given, new Map(), NOW)).refused).toEqual({ TOKEN: 'secret-missing' });
  });

  it('one credential without affecting another, unless it is required', () => {
    const credentials = [
      credential({ key: 'GOOD' }),
      credential({ key: 'BAD', reference: { ...SECRET, key: 'bad' } }),
    ];
    expect(
      outcome(resolve(config([provider({ credentials })]), reads(generation({ token: 'x', bad: '' })), NOW)),
    ).toEqual({ served: { GOOD: 'x' }, refused: { BAD: 'empty' } });
  });

  it('a required credential together with its whole provider, but no other provider', () => {
    const bad = { key: 'BAD', reference: { ...SECRET, key: 'bad' }, required: true };
    const resolution = resolve(
      config([
        provider({ credentials: [credential({ key: 'GOOD' }), credential(bad)] }),
        provider({ name: 'other', credentials: [credential({ key: 'OTHER' })] }),
      ]),
      reads(generation({ token: 'x', bad: '' })),
      NOW,
    );
    expect(outcome(resolution)).toEqual({
      served: { OTHER: 'x' },
      refused: { BAD: 'empty!', GOOD: 'provider-withheld' },
    });
  });

  it('a reference that is not allowed, without revealing anything about its Secret', () => {
    const reference = { namespace: 'other', name: 'credentials', key: 'token' };
    const given = config([provider({ credentials: [credential({ reference })] })]);
    const states: VolumeRead[] = [faulty('unreadable'), generation({}), generation({ token: 'x' })];
    const answers = states.map((read) => resolve(given, new Map([['other/credentials', read]]), NOW));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(answers[0]?.refusals).toMatchObject([{ reason: 'reference-not-allowed' }]);
  });
});

describe('expiry', () => {
  const at = (
    expiresAt: ExplicitCredential['expiresAt'],
    keys: Keys = {},
    format: 'text' | 'jwt' = 'text',
  ) => {
    const { resolution, refused } = resolveOne({ expiresAt, format }, { token: 'x', ...keys });
    return resolution.credentials[0]?.expiresAtMs ?? refused;
  };
  const jwt = (exp: number) =>
    ['{"alg":"none"}', JSON.stringify({ exp }), 's']
      .map((part) => Buffer.from(part).toString('base64url'))
      .join('.');

  it.each([
    ['a millisecond ahead', NOW + 1, NOW + 1],
    ['now', NOW, { TOKEN: 'expired' }],
    ['a millisecond ago', NOW - 1, { TOKEN: 'expired' }],
  ])('by a literal: %s', (_, atMs, expected) => {
    expect(at({ atMs })).toEqual(expected);
  });

  it.each([
    ['RFC 3339', '2027-01-31T00:00:01Z'],
    ['RFC 3339 with an offset and a line end', '2027-01-31T01:00:01+01:00\n'],
    ['Unix milliseconds', `${NOW + 1000}`],
    ['Unix milliseconds between blanks', ` ${NOW + 1000}\r\n`],
  ])('by a sibling key in %s', (_, until) => {
    expect(at({ key: 'until' }, { until })).toBe(NOW + 1000);
  });

  it.each([
    ['now', `${NOW}`, 'expired'],
    ['long ago', '100000000000', 'expired'],
    ['Unix seconds', '1801353600', 'expiry-malformed'],
    ['Unix microseconds', '1801353600000000', 'expiry-malformed'],
    ['empty', '', 'expiry-malformed'],
    ['zero', '0', 'expiry-malformed'],
    ['negative', '-1', 'expiry-malformed'],
    ['Unix seconds with a fraction', '1801353600.5', 'expiry-malformed'],
    ['text', 'never', 'expiry-malformed'],
    ['a date without a time', '2028-01-01', 'expiry-malformed'],
    ['31 February', '2028-02-31T00:00:00Z', 'expiry-malformed'],
    ['29 February in a year that has none', '2027-02-29T00:00:00Z', 'expiry-malformed'],
    ['month 13', '2028-13-01T00:00:00Z', 'expiry-malformed'],
    ['beyond every date', '9999999999999999', 'expiry-malformed'],
    ['two lines', `${NOW + 1}\n${NOW + 2}`, 'expiry-malformed'],
    ['longer than a time is', `${NOW + 1}`.padEnd(65, ' '), 'expiry-malformed'],
    ['a secret under the wrong name', newSecret(), 'expiry-malformed'],
    ['bytes', Buffer.from([0xff, 0x00]), 'expiry-malformed'],
    ['missing', { fault: 'key-missing' }, 'expiry-malformed'],
    ['a folder', { fault: 'not-a-file' }, 'expiry-malformed'],
  ] as const)('refuses where the sibling key is %s', (_, until, reason) => {
    expect(at({ key: 'until' }, { until })).toEqual({ TOKEN: reason });
  });

  it('accepts 29 February in a leap year', () => {
    expect(at({ key: 'until' }, { until: '2028-02-29T00:00:00Z' })).toBe(Date.UTC(2028, 1, 29));
  });

  it('refuses if the generation does not list the sibling key', () => {
    expect(at({ key: 'until' })).toEqual({ TOKEN: 'expiry-malformed' });
  });

  it.each([
    ['a second ahead', NOW / 1000 + 1, NOW + 1000],
    ['now', NOW / 1000, { TOKEN: 'expired' }],
    ['zero', 0, { TOKEN: 'expired' }],
  ])("by a JWT's exp: %s", (_, exp, expected) => {
    expect(at(undefined, { token: jwt(exp) }, 'jwt')).toEqual(expected);
    expect(at(undefined, { token: jwt(exp) })).toEqual(expected);
  });

  it('uses the earlier of the configured expiry and the expiry of a JWT', () => {
    const token = jwt(NOW / 1000 + 10);
    expect(at({ atMs: NOW + 5_000 }, { token })).toBe(NOW + 5_000);
    expect(at({ atMs: NOW + 50_000 }, { token })).toBe(NOW + 10_000);
    expect(at({ atMs: NOW }, { token })).toEqual({ TOKEN: 'expired' });
  });

  it('gives the next expiry of all served credentials', () => {
    const credentials = [3_000, 1_000, 2_000, -1_000].map((ms, index) =>
      credential({ key: `K${index}`, expiresAt: { atMs: NOW + ms } }),
    );
    const resolution = resolve(config([provider({ credentials })]), reads(generation({ token: 'x' })), NOW);
    expect(resolution.nextExpiryMs).toBe(NOW + 1_000);
  });
});

describe('resolve is pure', () => {
  const given = () => {
    const keys = { b: 'two\n', a: 'one', bad: 'x\ny', 'il-legal': 'z' };
    const providers = [
      provider({
        name: 'second',
        credentials: [credential({ key: 'ZED', reference: { ...SECRET, key: 'a' } })],
      }),
      provider({ name: 'first', from: [bulk()] }),
    ];
    return { config: config(providers), reads: reads(generation(keys)), keys };
  };

  it('gives the same result for the same input, in an order that does not depend on the input order', () => {
    const one = given();
    const again = given();
    const reversed = {
      config: config([...one.config.providers].reverse()),
      reads: reads(generation(Object.fromEntries(Object.entries(one.keys).reverse()))),
    };
    const shown = ({ config, reads }: Pick<typeof one, 'config' | 'reads'>) => {
      const { credentials, refusals } = resolve(config, reads, NOW);
      return {
        credentials: credentials.map((each) => ({ ...each, value: each.value.reveal().toString() })),
        refusals,
      };
    };
    expect(shown(again)).toEqual(shown(one));
    expect(shown(one)).toEqual(shown(one));
    expect(shown(reversed)).toEqual(shown(one));
    expect(shown(one).credentials.map(({ key }) => key)).toEqual(['ZED', 'a', 'b']);
    expect(shown(one).refusals.map(({ key }) => key)).toEqual(['bad', 'il-legal']);
  });

  it('changes neither configuration nor reads, and shares no memory with them', () => {
    const { config, reads, keys } = given();
    const before = structuredClone(config);
    const resolution = resolve(config, reads, NOW);
    for (const { value } of resolution.credentials) value.erase();
    expect(config).toEqual(before);
    const read = reads.get('tenant/credentials');
    if (read?.kind !== 'generation') throw new Error('no generation');
    const bytes = [...read.generation.keys].map(([key, found]) => [
      key,
      found.kind === 'bytes' ? found.value.reveal().toString() : '',
    ]);
    expect(Object.fromEntries(bytes)).toEqual(keys);
  });

  it('reads no clock: the result depends on the time argument', () => {
    const expiresAt = { atMs: NOW };
    expect(resolveOne({ expiresAt }, { token: 'x' }, NOW - 1).served).toEqual({ TOKEN: 'x' });
    expect(resolveOne({ expiresAt }, { token: 'x' }, NOW).refused).toEqual({ TOKEN: 'expired' });
  });
});

describe('a response that is too large', () => {
  it('refuses the same credentials each time, and serves a later one that fits', () => {
    const first = overfull();
    expect(first.refused.length).toBeGreaterThan(0);
    expect(overfull().refused).toEqual(first.refused);
    expect(first.outcome.served.Z_SMALL).toBe('small');
    // In name order: the first ones fit, and the last of the large ones do not.
    const large = first.names.filter((name) => !first.refused.includes(name));
    expect([...large, ...first.refused]).toEqual(first.names);
  });

  it('does not affect small credentials', () => {
    expect(resolveOne({}, { token: 'x'.repeat(65_536) }).refused).toEqual({});
  });
});

/** Seventy values of 64 KiB, more than one response holds, followed by a small one. */
function overfull() {
  const names = Array.from({ length: 70 }, (_, index) => `K${String(index).padStart(2, '0')}`);
  const keys = { ...Object.fromEntries(names.map((name) => [name, 'x'.repeat(65_536)])), Z_SMALL: 'small' };
  const found = outcome(resolve(config([provider({ from: [bulk()] })]), reads(generation(keys)), NOW));
  return { names, outcome: found, refused: Object.keys(found.refused) };
}

function fromEach<T extends string>(
  all: readonly T[],
  arrange: (one: T) => unknown,
): Record<T, () => unknown> {
  return Object.fromEntries(all.map((one) => [one, () => arrange(one)])) as Record<T, () => unknown>;
}
