/** The result of `resolve` fits into one message as the server encodes it: a client accepts at most 4 MiB. */
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { MAX_RESPONSE_BYTES } from '../../src/domain/limits.ts';
import { resolve } from '../../src/snapshot/resolve.ts';
import { Views } from '../../src/snapshot/views.ts';
import { bulk, config, generation, NOW, provider, reads } from './given.ts';

/** tonic's and grpc-js's default, in bytes. */
const MESSAGE_LIMIT = 4 * 1024 * 1024;
const LONGEST_NAME = 'p'.repeat(63);

function encoded(providers: Parameters<typeof config>[0], keys: Record<string, string>) {
  const given = config(providers);
  const resolution = resolve(given, reads(generation(keys)), NOW);
  const views = new Views(
    { id: 's'.repeat(253), name: 's'.repeat(253), namespace: 's'.repeat(63) },
    randomBytes(32),
  );
  const { message } = views.of(
    { ...resolution, mountedAt: 0 },
    providers.map(({ name }) => name),
  );
  const refused = (reason: string) =>
    resolution.refusals.filter((refusal) => refusal.reason === reason).length;
  return {
    bytes: message.bytes.byteLength,
    tooLarge: refused('response-too-large'),
    refusals: resolution.refusals.length,
  };
}

const numbered = (count: number, name: (number: string) => string, value: string) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [name(String(index).padStart(5, '0')), value]),
  );
const endpoints = (count: number, host: string, path: string) =>
  Array.from({ length: count }, (_, index) => ({ host: `${index}.${host}`, port: 65_535, path }));

it.each([
  ['few large values', {}, numbered(70, (n) => `K${n}`, 'x'.repeat(65_536))],
  ['many small values', {}, numbered(9_999, (n) => `K${n}`, 'x'.repeat(300))],
  ['the longest names', {}, numbered(5_000, (n) => `K${n}`.padEnd(253, 'K'), 'x')],
  [
    'many endpoints',
    { endpoints: endpoints(40, 'h'.repeat(200), `/${'p'.repeat(1_000)}`) },
    numbered(200, (n) => `K${n}`, 'x'),
  ],
  [
    'endpoints with names that are no ASCII',
    { endpoints: endpoints(40, '例'.repeat(200), `/${'例'.repeat(200)}`) },
    numbered(300, (n) => `K${n}`, 'x'),
  ],
])('holds for %s, beside as many refusals as there can be', (_, overrides, keys) => {
  const given = [provider({ name: LONGEST_NAME, from: [bulk()], ...overrides })];
  const alone = encoded(given, keys);
  expect(alone.tooLarge).toBeGreaterThan(0);
  const illegal = numbered(3_000, (n) => `-${n}`.padEnd(253, '-'), 'x');
  const beside = encoded(given, { ...keys, ...illegal });
  expect(beside.refusals).toBeGreaterThanOrEqual(3_000);
  for (const { bytes } of [alone, beside]) expect(bytes).toBeLessThan(MESSAGE_LIMIT);
  // The estimate is not far above the real size, so that the room is used.
  expect(beside.bytes).toBeGreaterThan(MAX_RESPONSE_BYTES / 2);
});
