import { expect, it } from 'vitest';
import { interleave } from './interleave.ts';

it('both sides run in every round, and who is first alternates', async () => {
  const order: string[] = [];
  let clock = 0;
  const side = (name: string) => async () => {
    order.push(name);
    clock += 1;
    return clock;
  };
  const rounds = await interleave(4, { ours: side('A'), baseline: side('B') });
  expect(order.join('')).toBe('ABBAABBA');
  expect(rounds).toEqual([
    { ours: 1, baseline: 2 },
    { ours: 4, baseline: 3 },
    { ours: 5, baseline: 6 },
    { ours: 8, baseline: 7 },
  ]);
});
