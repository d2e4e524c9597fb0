import { describe, expect, it } from 'vitest';
import type { Provider } from '../../src/config/config.ts';
import { volumeDirectory } from '../../src/sources/index.ts';
import { wantedKeys } from '../../src/sources/wanted.ts';
import { bulk, credential, provider, SECRET } from '../snapshot/given.ts';

it('finds a Secret at <root>/<namespace>/<name>', () => {
  expect(volumeDirectory({ secretsRoot: '/secrets' }, SECRET)).toBe('/secrets/tenant/credentials');
});

describe('wantedKeys', () => {
  const wanted = (...providers: Partial<Provider>[]) => {
    const { keys, all } = wantedOf(...providers);
    return { keys: [...keys].sort(), all };
  };
  const wantedOf = (...providers: Partial<Provider>[]) =>
    wantedKeys({ providers: providers.map((each) => provider(each)), parts: {} }, SECRET);
  const other = { namespace: 'tenant', name: 'other' };
  const profileCredentials = [{ name: 'api-token', envVars: ['TOKEN', 'ALT_TOKEN'], required: false }];

  it('wants nothing if no provider names the Secret', () => {
    expect(
      wanted({
        credentials: [credential({ reference: { ...other, key: 'token' } })],
        from: [bulk({ secret: other })],
      }),
    ).toEqual({ keys: [], all: false });
  });
  it('wants the keys of explicit credentials and of their expiry', () => {
    expect(
      wanted({
        credentials: [
          credential({ expiresAt: { key: 'until' } }),
          credential({ key: 'B', reference: { ...SECRET, key: 'db/b' }, expiresAt: { atMs: 1 } }),
        ],
      }),
    ).toEqual({ keys: ['db/b', 'token', 'until'], all: false });
  });
  it('wants the names and env_vars of a profile, and those of no other provider', () => {
    expect(
      wanted(
        { from: [bulk({ mode: 'providerProfileKeys' })], profileCredentials },
        { name: 'b', profileCredentials: [{ name: 'x', envVars: ['Y'], required: true }] },
      ),
    ).toEqual({ keys: ['ALT_TOKEN', 'TOKEN', 'api-token'], all: false });
  });
  it('wants all keys if one provider does, and still lists those that others request', () => {
    expect(wanted({ from: [bulk()] }, { name: 'b', credentials: [credential()] })).toEqual({
      keys: ['token'],
      all: true,
    });
  });
  it('leaves what a source excludes unread, unless another one takes it', () => {
    const tls = bulk({ include: ['tls.*'], exclude: ['tls.key'] });
    const takes = (...from: (typeof tls)[]) => {
      const wanted = wantedOf({ from });
      return ['tls.crt', 'tls.key', 'other'].filter((key) => wanted.takes?.(key));
    };
    expect(takes(tls)).toEqual(['tls.crt']);
    expect(takes(tls, bulk({ include: ['tls.key'] }))).toEqual(['tls.crt', 'tls.key']);
    expect(
      wanted({ from: [bulk({ mode: 'providerProfileKeys', exclude: ['ALT_*'] })], profileCredentials }),
    ).toEqual({ keys: ['TOKEN', 'api-token'], all: false });
  });
  it('wants what a consumer reads by name, and what its globs match', () => {
    const of = (keys: readonly string[]) =>
      wantedKeys(
        {
          providers: [],
          parts: {
            gateway: {
              secrets: [
                { ...SECRET, keys },
                { ...other, keys: ['no'] },
              ],
            },
          },
        },
        SECRET,
      );
    expect(of(['sealing-key'])).toMatchObject({ keys: new Set(['sealing-key']), all: false });
    const both = of(['sealing-key', 'ca-*']);
    expect(both).toMatchObject({ keys: new Set(['sealing-key']), all: true });
    expect(['ca-1', 'token'].map((key) => both.takes?.(key))).toEqual([true, false]);
  });
});
