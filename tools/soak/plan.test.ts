import { describe, expect, it } from 'vitest';
import { ATTACKS, BLOWS, CHANGES, DISTURBANCES, planOf, SETTLE_MS } from './plan.ts';

const kinds = (list: readonly { readonly action: string }[]) =>
  [...new Set(list.map(({ action }) => action))].sort();

describe('the plan of a run', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(planOf(7, 3)).toEqual(planOf(7, 3));
    expect(planOf(8, 3)).not.toEqual(planOf(7, 3));
  });

  it.each([
    [3, 10, 20],
    [30, 100, 120],
  ])(
    'in %i minutes kills %i to %i times, never in the middle third, and does everything',
    (minutes, least, most) => {
      for (let seed = 0; seed < 20; seed++) {
        const { changes, disturbances, attacks, blows } = planOf(seed, minutes);
        const endMs = minutes * 60_000 - SETTLE_MS;
        const kills = blows.filter(({ action }) => action === 'kill').map(({ atMs }) => atMs);
        expect(kills.length).toBeGreaterThanOrEqual(least);
        expect(kills.length).toBeLessThanOrEqual(most);
        expect(kills.filter((atMs) => atMs > endMs / 3 && atMs < (endMs * 2) / 3)).toEqual([]);
        expect(kills.some((atMs) => atMs < endMs / 3) && kills.some((atMs) => atMs > endMs / 3)).toBe(true);
        expect(kinds(changes)).toEqual(Object.keys(CHANGES).sort());
        expect(kinds(disturbances)).toEqual(Object.keys(DISTURBANCES).sort());
        expect(kinds(attacks)).toEqual(Object.keys(ATTACKS).sort());
        expect(kinds(blows)).toEqual(Object.keys(BLOWS).sort());
        for (const list of [changes, disturbances, attacks, blows]) {
          const times = list.map(({ atMs }) => atMs);
          expect(times.toSorted((a, b) => a - b)).toEqual(times);
          expect(times.at(-1)).toBeLessThan(endMs);
        }
      }
    },
  );
});
