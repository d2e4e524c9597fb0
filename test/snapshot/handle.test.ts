import { expect, it } from 'vitest';
import { deriveHandle, type HandleInput } from '../../src/snapshot/handle.ts';

const INPUT: HandleInput = {
  sandbox: { id: 'sandbox-1', name: 'nvbugs', namespace: 'tenant' },
  provider: 'gitlab',
  key: 'TOKEN',
  reference: { namespace: 'tenant', name: 'credentials', key: 'token' },
  endpoints: [
    { host: 'a.example.com', port: 443, path: '' },
    { host: 'b.example.com', port: 443, path: '/api/**' },
  ],
};
const handle = (change: Partial<HandleInput> = {}) => deriveHandle({ ...INPUT, ...change });

it('is 64 lowercase hexadecimal digits, the same in every process and every version', () => {
  expect(handle()).toMatch(/^[0-9a-f]{64}$/);
  // A fixed value: a running agent keeps its handle across restarts and upgrades.
  expect(handle()).toBe('6932b365e968021de260b2b4b2c73a73df2fa5919efc68cd29ce52e370b656f7');
});

it('does not depend on the order or the repetition of endpoints', () => {
  const [a, b] = INPUT.endpoints;
  if (a === undefined || b === undefined) throw new Error('two endpoints');
  expect(handle({ endpoints: [b, a] })).toBe(handle());
  expect(handle({ endpoints: [a, b, a] })).toBe(handle());
});

it("does not depend on the sandbox's display name", () => {
  expect(handle({ sandbox: { ...INPUT.sandbox, name: 'other' } })).toBe(handle());
});

const [first, second] = INPUT.endpoints;
const other: [string, Partial<HandleInput>][] = [
  ['sandbox id', { sandbox: { ...INPUT.sandbox, id: 'sandbox-2' } }],
  ['sandbox namespace', { sandbox: { ...INPUT.sandbox, namespace: 'other' } }],
  ['provider', { provider: 'github' }],
  ['key', { key: 'TOKEN2' }],
  ['namespace', { reference: { ...INPUT.reference, namespace: 'other' } }],
  ['Secret', { reference: { ...INPUT.reference, name: 'other' } }],
  ["Secret's key", { reference: { ...INPUT.reference, key: 'other' } }],
  ['host', { endpoints: [{ ...first!, host: 'c.example.com' }, second!] }],
  ['port', { endpoints: [{ ...first!, port: 8443 }, second!] }],
  ['path', { endpoints: [{ ...first!, path: '/x' }, second!] }],
  ['TLS', { endpoints: [{ ...first!, tls: false }, second!] }],
  ['number of endpoints', { endpoints: [first!] }],
  ['fields that run together the same way', { provider: 'gitlabT', key: 'OKEN' }],
];
it.each(other)('differs by %s', (_, change) => {
  expect(handle(change)).not.toBe(handle());
});

it('differs for each of these inputs', () => {
  const all = [INPUT, ...other.map(([, change]) => ({ ...INPUT, ...change }))].map(deriveHandle);
  expect(new Set(all).size).toBe(all.length);
});
