/** Handles that a gateway keeps: good for what they were sealed for, and for nothing else. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openHandle, sealHandle } from '../../src/consumers/gateway-driver/gateway-handle.ts';

const KEY = randomBytes(32);
const OTHER_KEY = randomBytes(32);
const BINDING = { workspace: 'team-a', providerId: 'b7c1d0de', credentialKey: 'GITLAB_TOKEN' };
const REFERENCE = { namespace: 'tenant', name: 'gitlab', key: 'db/token' };
const HANDLE = sealHandle(BINDING, REFERENCE, KEY);
const RUNS = { numRuns: process.env.CI === 'true' ? 10_000 : 1_000 };

describe('a handle', () => {
  it('opens to its reference, by each of the keys', () => {
    expect(openHandle(BINDING, HANDLE, [KEY])).toEqual(REFERENCE);
    expect(openHandle(BINDING, HANDLE, [OTHER_KEY, KEY])).toEqual(REFERENCE);
  });

  it('is the same each time: nothing is kept, and a repeated Store changes nothing', () => {
    expect(sealHandle(BINDING, REFERENCE, KEY)).toBe(HANDLE);
  });

  it.each([
    ['another workspace', { ...BINDING, workspace: 'team-b' }],
    ['another provider', { ...BINDING, providerId: 'b7c1d0df' }],
    ['another credential', { ...BINDING, credentialKey: 'GITLAB_TOKEN2' }],
    [
      'the same letters, divided otherwise',
      { workspace: 'team-ab', providerId: '7c1d0de', credentialKey: 'GITLAB_TOKEN' },
    ],
  ])('opens for %s to nothing', (_, binding) => {
    expect(openHandle(binding, HANDLE, [KEY])).toBeUndefined();
  });

  it('opens under another key, or under none, to nothing', () => {
    expect(openHandle(BINDING, HANDLE, [OTHER_KEY])).toBeUndefined();
    expect(openHandle(BINDING, HANDLE, [])).toBeUndefined();
  });

  it('with any character changed, added or taken away opens to nothing', () => {
    const letters = 'ABab019-_.=+/ \0é';
    for (let at = 0; at <= HANDLE.length; at++) {
      const [before, after] = [HANDLE.slice(0, at), HANDLE.slice(at)];
      const altered = [
        `${before}${after.slice(1)}`,
        ...[...letters].flatMap((letter) => [
          `${before}${letter}${after}`,
          `${before}${letter}${after.slice(1)}`,
        ]),
      ].filter((text) => text !== HANDLE);
      for (const text of altered) expect(openHandle(BINDING, text, [KEY])).toBeUndefined();
    }
  });

  it('with the reference of another handle of the same provider opens to nothing', () => {
    const other = sealHandle(BINDING, { ...REFERENCE, key: 'db/admin' }, KEY);
    const [version, , seal] = HANDLE.split('.');
    expect(openHandle(BINDING, `${version}.${other.split('.')[1]}.${seal}`, [KEY])).toBeUndefined();
  });

  it('that was never sealed opens to nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(openHandle(BINDING, text, [KEY])).toBeUndefined();
        expect(openHandle(BINDING, `v1.${text}.${'A'.repeat(43)}`, [KEY])).toBeUndefined();
      }),
      RUNS,
    );
  });

  it('opens for what it was sealed for, whatever that is, and for no other', () => {
    const text = fc.string({ minLength: 1, maxLength: 20 });
    const binding = fc.record({ workspace: text, providerId: text, credentialKey: text });
    fc.assert(
      fc.property(binding, binding, (mine, theirs) => {
        const handle = sealHandle(mine, REFERENCE, KEY);
        expect(openHandle(mine, handle, [KEY])).toEqual(REFERENCE);
        const same = JSON.stringify(Object.entries(mine)) === JSON.stringify(Object.entries(theirs));
        expect(openHandle(theirs, handle, [KEY])).toEqual(same ? REFERENCE : undefined);
      }),
      RUNS,
    );
  });
});
