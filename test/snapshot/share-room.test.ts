import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Sized, shareRoom } from '../../src/snapshot/share-room.ts';

const item = (provider: string, bytes: number, first = false): Sized<string> => ({
  item: `${provider} ${bytes} ${first}`,
  provider,
  first,
  bytes,
});

it('takes everything where there is room, in its order', () => {
  const items = [item('b', 3), item('a', 4, true), item('b', 2, true)];
  expect([...shareRoom(items, 9)]).toEqual(items.map((each) => each.item));
});

it('gives a provider that needs little all of it, and the others what is left', () => {
  const items = [...Array.from({ length: 100 }, (_, n) => item('bulk', 10 + n / 1_000)), item('small', 30)];
  const taken = shareRoom(items, 100);
  expect(taken.has('small 30 false')).toBe(true);
  expect(taken.size).toBe(1 + 6);
});

it('takes explicit and required credentials before those in bulk', () => {
  const taken = shareRoom([item('a', 60), item('a', 50, true), item('b', 45, true)], 100);
  expect([...taken]).toEqual(['a 50 true', 'b 45 true']);
});

it('never takes more than there is room for, and refuses no provider within its equal share', () => {
  const any = fc.record({
    provider: fc.constantFrom('a', 'b', 'c', 'd'),
    bytes: fc.integer({ min: 1, max: 50 }),
    first: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 60 }), fc.integer({ min: 0, max: 400 }), (given, room) => {
      const items = given.map((each, index) => ({ ...each, item: index }));
      const taken = shareRoom(items, room);
      const sum = (of: typeof items) => of.reduce((total, { bytes }) => total + bytes, 0);
      expect(sum(items.filter((each) => taken.has(each.item)))).toBeLessThanOrEqual(room);
      const first = items.filter((each) => each.first);
      const providers = new Set(first.map(({ provider }) => provider));
      for (const name of providers) {
        const own = first.filter(({ provider }) => provider === name);
        if (sum(own) <= Math.floor(room / providers.size))
          for (const each of own) expect(taken.has(each.item)).toBe(true);
      }
    }),
  );
});
