import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { IdleCollection } from '../../src/daemon/idle-collection.ts';

let collections = 0;
let collection: IdleCollection;

beforeEach(() => {
  vi.useFakeTimers();
  collections = 0;
  collection = new IdleCollection(() => {
    collections += 1;
  });
});
afterEach(() => {
  collection[Symbol.dispose]();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function work(times: number): void {
  for (let call = 0; call < times; call++) collection.worked();
}

it('collects once when the start is over, and no more while nothing happens', () => {
  vi.advanceTimersByTime(4_999);
  expect(collections).toBe(0);
  vi.advanceTimersByTime(1);
  expect(collections).toBe(1);
  vi.advanceTimersByTime(3_600_000);
  expect(collections).toBe(1);
});

it('never collects while there is work, and once when it has ended', () => {
  for (let second = 0; second < 60; second++) {
    work(100);
    vi.advanceTimersByTime(4_900);
  }
  expect(collections).toBe(0);
  vi.advanceTimersByTime(200);
  expect(collections).toBe(1);
});

it('leaves little work alone, however long it rests in between', () => {
  vi.advanceTimersByTime(5_000);
  for (let call = 0; call < 499; call++) {
    work(1);
    vi.advanceTimersByTime(10_000);
  }
  expect(collections).toBe(1);
  work(1);
  vi.advanceTimersByTime(5_000);
  expect(collections).toBe(2);
});

it('waits while others have the CPU, and collects when it is free again', () => {
  const clock = performance.now.bind(performance);
  let waited = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock() + waited);
  for (let tick = 0; tick < 600; tick++) {
    waited += 5;
    vi.advanceTimersByTime(100);
  }
  expect(collections).toBe(0);
  vi.advanceTimersByTime(6_000);
  expect(collections).toBe(1);
});

it('takes one quiet second beside a spinning process for chance', () => {
  const clock = performance.now.bind(performance);
  let waited = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => clock() + waited);
  for (let second = 0; second < 60; second++) {
    if (second % 4 === 0) waited += 25;
    vi.advanceTimersByTime(1_000);
  }
  expect(collections).toBe(0);
});

it('collects no more once it is disposed of', () => {
  collection[Symbol.dispose]();
  vi.advanceTimersByTime(10_000);
  expect(collections).toBe(0);
});
