import { expect, it } from 'vitest';
import { parseUptime } from '../../src/domain/proc-stat.ts';

it('reads an uptime as the tick that it says, from the boot on for ten days', () => {
  const wrong: string[] = [];
  for (let tick = 0; tick < 86_400_000; tick += 997) {
    const uptime = `${Math.floor(tick / 100)}.${String(tick % 100).padStart(2, '0')}`;
    if (parseUptime(`${uptime} 12.34\n`) !== tick) wrong.push(uptime);
  }
  // A fraction below, and a process that connects in the tick of its start is taken for its successor.
  expect(wrong).toEqual([]);
});
