import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS, TokenBucket } from '../../src/domain/limits.ts';
import { HeldBytes, UidUsage } from '../../src/socket/usage.ts';

describe('TokenBucket', () => {
  it('gives its burst, then nothing, then as many as time has brought', () => {
    const bucket = new TokenBucket(10, 3, 0);
    expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
    expect(bucket.take(99)).toBe(false);
    expect(bucket.take(150)).toBe(true);
    expect(bucket.take(150)).toBe(false);
  });

  it('holds no more than its burst, however long it rested', () => {
    const bucket = new TokenBucket(1_000, 2, 0);
    expect([1e9, 1e9, 1e9].map((now) => bucket.take(now))).toEqual([true, true, false]);
  });

  it('gives nothing for a clock that goes back', () => {
    const bucket = new TokenBucket(10, 1, 1_000);
    expect(bucket.take(1_000)).toBe(true);
    expect(bucket.take(0)).toBe(false);
    expect(bucket.take(1_000)).toBe(false);
    expect(bucket.take(1_100)).toBe(true);
  });

  it('never gives more than burst and rate allow, whatever the times', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 300 }), (gaps) => {
        const bucket = new TokenBucket(20, 5, 0);
        let now = 0;
        let given = 0;
        for (const gap of gaps) {
          now += gap;
          if (bucket.take(now)) given += 1;
        }
        expect(given).toBeLessThanOrEqual(5 + (now / 1_000) * 20 + 1e-9);
      }),
    );
  });
});

it('a UID begins with nothing in use and its whole burst', () => {
  const usage = new UidUsage({ ...DEFAULT_LIMITS, requestBurst: 1, requestsPerSecond: 1 }, 0);
  expect(usage).toMatchObject({ connections: 0, watches: 0 });
  expect([usage.requests.take(0), usage.requests.take(0)]).toEqual([true, false]);
});

describe('HeldBytes', () => {
  it('has room until its limit is reached: the last message may go beyond it', () => {
    const unread = new HeldBytes(10);
    expect(unread.full).toBe(false);
    unread.take(25);
    expect(unread.full).toBe(true);
    unread.give(25);
    unread.take(6);
    expect(unread.full).toBe(false);
    unread.take(4);
    expect(unread.full).toBe(true);
  });

  it('resumes what waits in order, as long as there is room', () => {
    const unread = new HeldBytes(10);
    const called: string[] = [];
    const waiter = (name: string, bytes: number) => () => {
      called.push(name);
      unread.take(bytes);
    };
    unread.take(10);
    const forgotten = waiter('forgotten', 1);
    for (const resume of [waiter('first', 6), forgotten, waiter('second', 4), waiter('third', 1)])
      unread.wait(resume);
    unread.forget(forgotten);
    unread.give(10);
    expect(called).toEqual(['first', 'second']);
    unread.give(6);
    expect(called).toEqual(['first', 'second', 'third']);
  });
});
