import { describe, expect, it } from 'vitest';
import { growth, MAX_RSS_MIB, quantile, type Sample, SHORTEST_LIFE_MS } from './growth.ts';

/** A life with a sample each second. */
function life(seconds: number, sample: (second: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: seconds + 1 }, (_, second) => ({
    at: second * 1_000,
    rssMiB: 90,
    descriptors: 30,
    watchers: 2,
    ...sample(second),
  }));
}

describe('growth of one life', () => {
  it('finds none in a warm-up, in noise, or in peers that come and go', () => {
    expect(growth(life(60, (second) => ({ rssMiB: Math.min(80 + second * 2, 110) })))).toEqual([]);
    expect(growth(life(60, (second) => ({ rssMiB: 90 + (second % 7) * 4 })))).toEqual([]);
    expect(
      growth(life(60, (second) => (second % 5 === 0 ? {} : { descriptors: 110 + second, watchers: 12 }))),
    ).toEqual([]);
  });

  it('finds memory that grows on and on', () => {
    expect(growth(life(60, (second) => ({ rssMiB: 60 + second * 1.5 })))).toEqual([
      'resident memory grew from 105 to 135 MiB',
    ]);
  });

  it.each(['descriptors', 'watchers'] as const)('finds %s that stay', (what) => {
    const list = life(60, (second) => ({ [what]: 30 + Math.floor(second / 2) + (second % 3) * 40 }));
    expect(growth(list)).toEqual([`${what} grew from 40 to 51`]);
  });

  it('leaves out what was not counted', () => {
    const list = life(60, () => ({ descriptors: undefined, watchers: undefined }));
    expect(growth(list)).toEqual([]);
  });

  it('does not judge a life that is too short, except by what it may have at most', () => {
    const short = SHORTEST_LIFE_MS / 1_000 - 1;
    expect(growth(life(short, (second) => ({ rssMiB: 60 + second * 5 })))).toEqual([]);
    expect(growth(life(short, (second) => ({ rssMiB: second === 3 ? MAX_RSS_MIB + 1 : 60 })))).toEqual([
      '257 MiB resident, of 256',
    ]);
    expect(growth([])).toEqual([]);
  });
});

describe('quantile', () => {
  it('is a value of the list', () => {
    const list = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0.5, 0.99, 1].map((share) => quantile(list, share))).toEqual([50, 99, 100]);
    expect(quantile([], 0.5)).toBeNaN();
  });
});
