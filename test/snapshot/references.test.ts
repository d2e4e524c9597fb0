import { expect, it } from 'vitest';
import type { ReferenceRule } from '../../src/config/config.ts';
import { referenceAllowed, secretAllowed } from '../../src/snapshot/references.ts';

const rules: ReferenceRule[] = [
  { namespace: 'tenant', name: 'nvbugs-*', keys: ['token', 'db/*'] },
  { namespace: 'shared', name: 'ca', keys: ['*'] },
  { namespace: 'tenant', name: 'closed', keys: [] },
];

it.each([
  ['tenant', 'nvbugs-provider', 'token', true],
  ['tenant', 'nvbugs-', 'token', true],
  ['tenant', 'nvbugs-provider', 'db/password', true],
  ['shared', 'ca', 'anything', true],
  ['tenant', 'nvbugs-provider', 'tokens', false],
  ['tenant', 'nvbugs-provider', '*', false],
  ['tenant', 'nvbugs', 'token', false],
  ['tenant', 'my-nvbugs-provider', 'token', false],
  ['tenants', 'nvbugs-provider', 'token', false],
  ['tenant', 'ca', 'token', false],
  ['*', '*', '*', false],
  ['tenant', 'closed', 'token', false],
])('of %s/%s/%s says %s', (namespace, name, key, allowed) => {
  expect(referenceAllowed(rules, { namespace, name, key })).toBe(allowed);
});

it.each([
  ['tenant', 'nvbugs-provider', true],
  ['shared', 'ca', true],
  ['tenant', 'closed', false],
  ['tenant', 'other', false],
  ['other', 'nvbugs-provider', false],
])('of the Secret %s/%s as a whole says %s', (namespace, name, allowed) => {
  expect(secretAllowed(rules, { namespace, name })).toBe(allowed);
});

it('allows nothing without a rule', () => {
  expect(referenceAllowed([], { namespace: 'a', name: 'b', key: 'c' })).toBe(false);
  expect(secretAllowed([], { namespace: 'a', name: 'b' })).toBe(false);
});
