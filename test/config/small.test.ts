/** The parts of the configuration that are functions of one text. */
import { expect, test } from 'vitest';
import { referencedSecrets } from '../../src/config/config.ts';
import { matchGlob } from '../../src/domain/glob.ts';
import { parseTime } from '../../src/domain/time.ts';

test.each([
  ['2027-01-31T00:00:00Z', Date.UTC(2027, 0, 31)],
  ['2027-01-31t00:00:00z', Date.UTC(2027, 0, 31)],
  ['2027-01-31 01:30:00.5+01:30', Date.UTC(2027, 0, 31) + 500],
  ['2026-12-31T23:59:60Z', Date.UTC(2026, 11, 31, 23, 59, 59)],
  ['1800000000000', 1_800_000_000_000],
  ['100000000000', 100_000_000_000],
  ['253402300799999', 253_402_300_799_999], // the end of 9999, which often stands for never
])('%s is a time', (text, expected) => {
  expect(parseTime(text)).toBe(expected);
});

test.each([
  '',
  'tomorrow',
  '0',
  '-5',
  '1e12',
  ' 1',
  '2027-01-31',
  '2027-01-31T00:00Z',
  '2027-01-31T00:00:00',
  '2027-13-01T00:00:00Z',
  '2027-02-30T00:00:00Z',
  '2027-01-31T24:00:00Z',
  '1960-01-01T00:00:00Z',
  '12345678901234567',
  '1801353600', // seconds
  '99999999999',
  '1801353600000000', // microseconds
  '253402300800000',
])('%j is no time', (text) => {
  expect(parseTime(text)).toBeUndefined();
});

test.each([
  ['*', ''],
  ['*', 'anything'],
  ['a*', 'a'],
  ['*b', 'ab'],
  ['a*c', 'abc'],
  ['a*c', 'ac'],
  ['a*b*c', 'a-b-b-c'],
  ['a**b', 'ab'],
  ['exact', 'exact'],
])('the glob %s matches %j', (pattern, text) => {
  expect(matchGlob(pattern, text)).toBe(true);
});

test.each([
  ['', 'a'],
  ['a', 'ab'],
  ['a*', 'ba'],
  ['*b', 'abc'],
  ['a*a', 'a'],
  ['ab*ba', 'aba'],
  ['a.c', 'abc'],
  ['a?c', 'abc'],
  ['[a]', 'a'],
  ['A*', 'abc'],
])('the glob %s does not match %j', (pattern, text) => {
  expect(matchGlob(pattern, text)).toBe(false);
});

test('with a separator a star stays within one part', () => {
  expect(matchGlob('/opt/*/bin/x', '/opt/a/bin/x', '/')).toBe(true);
  expect(matchGlob('/opt/*', '/opt/a/b', '/')).toBe(false);
  expect(matchGlob('/opt/*', '/opt', '/')).toBe(false);
  expect(matchGlob('*', '/opt', '/')).toBe(false);
});

test('a pattern that is all stars takes no time to fail', () => {
  const begun = performance.now();
  expect(matchGlob(`${'*a'.repeat(2_000)}b`, 'a'.repeat(4_000))).toBe(false);
  expect(performance.now() - begun).toBeLessThan(1_000);
});

test('each Secret is named once, in order', () => {
  const reference = (name: string, key: string) => ({ namespace: 'n', name, key });
  const credential = { required: false, expiresAt: undefined, trim: 'none', format: 'text' } as const;
  const base = { type: 't', endpoints: [], profileCredentials: [] };
  expect(
    referencedSecrets({
      parts: {},
      providers: [
        {
          ...base,
          name: 'p',
          credentials: [
            { ...credential, key: 'A', reference: reference('b', '1') },
            { ...credential, key: 'B', reference: reference('a', '2') },
          ],
          from: [],
        },
        {
          ...base,
          name: 'q',
          credentials: [{ ...credential, key: 'C', reference: reference('b', '3') }],
          from: [
            {
              secret: { namespace: 'm', name: 'z' },
              mode: 'allKeys',
              rename: new Map(),
              include: ['*'],
              exclude: [],
              format: new Map(),
              trim: 'none',
            },
          ],
        },
      ],
    }),
  ).toEqual([
    { namespace: 'm', name: 'z' },
    { namespace: 'n', name: 'a' },
    { namespace: 'n', name: 'b' },
  ]);
});
