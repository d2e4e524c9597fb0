import { describe, expect, it } from 'vitest';
import { growth, MAX_DESCRIPTORS, MAX_RSS_MIB, quantile, type Sample, SHORTEST_LIFE_MS } from './growth.ts';

/** A life with a sample each second. */
function life(seconds: number, sample: (second: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: seconds + 1 }, (_, second) => ({
    at: second * 1_000,
    rssMiB: 90,
    descriptors: 30,
    watchers: 2,
    held: { connections: 0, watches: 0 },
    ...sample(second),
  }));
}

describe('growth of one life', () => {
  it('finds none in a warm-up, in noise, or in peers that come and go', () => {
    expect(growth(life(60, (second) => ({ rssMiB: Math.min(80 + second * 2, 110) })))).toEqual([]);
    expect(growth(life(60, (second) => ({ rssMiB: 90 + (second % 7) * 4 })))).toEqual([]);
  });

  it('finds none in what peers hold, however long', () => {
    const peers = (second: number, heldOf = second) => {
      const connections = heldOf > 30 ? (40 + heldOf) / 2 : 0;
      const watches = heldOf > 30 ? 16 : 0;
      return {
        descriptors: 30 + (second > 30 ? 40 + second : 0),
        watchers: 2 + (second > 30 ? 16 : 0),
        held: { connections, watches },
      };
    };
    expect(growth(life(60, (second) => peers(second)))).toEqual([]);
    // Nor where the one side learns of it a moment later.
    expect(growth(life(60, (second) => peers(second, second - 2)))).toEqual([]);
    expect(growth(life(60, (second) => peers(second, second + 2)))).toEqual([]);
  });

  it('finds memory that grows on and on', () => {
    expect(growth(life(60, (second) => ({ rssMiB: 60 + second * 1.5 })))).toEqual([
      'resident memory grew from 105 to 135 MiB',
    ]);
  });

  it.each(['descriptors', 'watchers'] as const)('finds %s that stay when the peers have gone', (what) => {
    const peers = (second: number) => {
      const count = (second % 3) * 40;
      const staying = Math.floor(second / 2);
      // A connection has two descriptors.
      return { [what]: 30 + staying + count, held: { connections: count / 2, watches: count } };
    };
    expect(growth(life(60, peers))).toEqual([`${what} that nobody holds grew from 45 to 55`]);
    expect(growth(life(60, (second) => ({ [what]: second < 35 ? 30 : 35 })))).toEqual([
      `${what} that nobody holds grew from 30 to 35`,
    ]);
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
    expect(
      growth(life(short, (second) => ({ descriptors: second === 3 ? MAX_DESCRIPTORS + 1 : 60 }))),
    ).toEqual(['513 descriptors, of 512']);
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
