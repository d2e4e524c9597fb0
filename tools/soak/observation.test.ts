import { describe, expect, it } from 'vitest';
import { type ProviderEnvironment, SecretValue } from '../../src/client/index.ts';
import { newSecret } from '../../test/support/secrets.ts';
import { summarise, taggedValue } from './observation.ts';

const prefix = newSecret('soak');

/** A snapshot with these values, by provider and key. */
function environment(values: readonly (readonly [string, string, string])[]): ProviderEnvironment {
  return {
    revision: 5n,
    sandbox: { id: '', name: '', namespace: '' },
    refusals: [],
    credentials: new Map(
      values.map(([provider, key, value]) => [
        key,
        {
          key,
          provider,
          value: SecretValue.from(Buffer.from(value)),
          handle: '',
          identity: `${provider}:${key}`,
          endpoints: [],
          expiresAtMs: undefined,
        },
      ]),
    ),
  };
}

describe('what a client tells of a snapshot', () => {
  it('is generations and keys, and no value', () => {
    const told = summarise(
      environment([
        ['alpha', 'A', taggedValue(prefix, 'alpha', 1, 'A')],
        ['alpha', 'B', taggedValue(prefix, 'alpha', 2, 'B')],
        ['beta', 'C', taggedValue(prefix, 'beta', 3, 'C')],
      ]),
      prefix,
    );
    expect(told).toEqual({
      revision: '5',
      secrets: {
        alpha: { generations: [1, 2], keys: ['A', 'B'] },
        beta: { generations: [3], keys: ['C'] },
      },
      foreign: [],
    });
    expect(JSON.stringify(told)).not.toContain(prefix);
  });

  it.each([
    ['of another key', taggedValue(prefix, 'alpha', 1, 'B')],
    ['of another Secret', taggedValue(prefix, 'beta', 1, 'A')],
    ['with another beginning', taggedValue('other', 'alpha', 1, 'A')],
    ['cut off', prefix],
    ['with more at its end', `${taggedValue(prefix, 'alpha', 1, 'A')}x`],
  ])('names a value %s', (_, value) => {
    expect(summarise(environment([['alpha', 'A', value]]), prefix)).toMatchObject({
      secrets: {},
      foreign: ['alpha:A'],
    });
  });
});
