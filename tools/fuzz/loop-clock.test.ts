import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { LoopClock } from './loop-clock.ts';
import { standStill } from './stand-still.ts';

it('does not take a standstill for silence', async () => {
  using clock = new LoopClock();
  await sleep(120);
  const from = clock.now();
  let over = false;
  clock.after(300, () => {
    over = true;
  });
  standStill(1_000);
  expect(clock.pausedSince(from)).toBe(true);
  await sleep(60);
  expect(over).toBe(false);
  expect(clock.now() - from).toBeLessThan(250);
  expect(clock.pausedSince(from)).toBe(true);
  expect(await clock.until(() => over, 5_000)).toBe(true);
});

it('ends what waits in vain', async () => {
  using clock = new LoopClock();
  expect(await clock.until(() => false, 100)).toBe(false);
});
