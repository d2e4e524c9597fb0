import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Provider } from '../../src/config/config.ts';
import { type Resolution, resolve } from '../../src/snapshot/resolve.ts';
import {
  changes,
  ERASE_AFTER_MS,
  fingerprint,
  type Snapshot,
  SnapshotStore,
  sameResolution,
} from '../../src/snapshot/snapshot.ts';
import type { VolumeRead } from '../../src/sources/index.ts';
import { newSecret } from '../support/secrets.ts';
import {
  bulk,
  config,
  credential,
  ENDPOINTS,
  faulty,
  generation,
  type Keys,
  NOW,
  provider,
  reads,
} from './given.ts';

const explicit = provider({ credentials: [credential()] });

function resolution(of: Provider, keys: Keys | VolumeRead, now = NOW): Resolution {
  const read = typeof keys.kind === 'string' ? (keys as VolumeRead) : generation(keys as Keys);
  return resolve(config([of]), reads(read), now);
}
const snapshot = (token: string): Snapshot => ({ ...resolution(explicit, { token }), mountedAt: 0 });
const told = (before: Resolution | undefined, after: Resolution) =>
  changes(before, after).map(({ kind, key, reason }) => [kind, key, reason].filter(Boolean).join(' '));

describe('changes', () => {
  const inBulk = provider({ from: [bulk()] });

  it('reports loaded and refused credentials at the start', () => {
    expect(told(undefined, resolution(inBulk, { A: 'x', 'b-c': 'y' }))).toEqual([
      'loaded A',
      'refused b-c illegal-name',
    ]);
  });
  it('reports nothing if nothing changed', () => {
    const keys = { A: 'x', 'b-c': 'y' };
    expect(told(resolution(inBulk, keys), resolution(inBulk, keys))).toEqual([]);
  });
  it('reports a rotation once, for the credential that rotated', () => {
    expect(told(resolution(inBulk, { A: 'x', B: 'y' }), resolution(inBulk, { A: 'x2', B: 'y' }))).toEqual([
      'rotated A',
    ]);
  });
  it('reports a changed expiry as a rotation', () => {
    const until = (ms: number) => provider({ credentials: [credential({ expiresAt: { atMs: NOW + ms } })] });
    expect(told(resolution(until(1), { token: 'x' }), resolution(until(2), { token: 'x' }))).toEqual([
      'rotated TOKEN',
    ]);
  });
  it('reports a revocation with its reason', () => {
    expect(told(resolution(explicit, { token: 'x' }), resolution(explicit, { token: '' }))).toEqual([
      'revoked TOKEN empty',
    ]);
    expect(
      told(resolution(explicit, { token: 'x' }), resolution(explicit, faulty('secret-missing'))),
    ).toEqual(['revoked TOKEN secret-missing']);
  });
  it('reports a revocation if a key taken in bulk is gone, and no longer claims its name', () => {
    expect(told(resolution(inBulk, { A: 'x', B: 'y' }), resolution(inBulk, { B: 'y' }))).toEqual([
      'revoked A key-missing',
    ]);
  });
  it('reports each credential of a revoked Secret, and the Secret', () => {
    expect(
      told(resolution(inBulk, { A: 'x', B: 'y' }), resolution(inBulk, faulty('secret-missing'))),
    ).toEqual(['refused * secret-missing', 'revoked A key-missing', 'revoked B key-missing']);
  });
  it('reports a refusal again if its reason changes', () => {
    const [empty, gone] = [resolution(explicit, { token: '' }), resolution(explicit, {})];
    expect(told(empty, gone)).toEqual(['refused TOKEN key-missing']);
    expect(told(gone, gone)).toEqual([]);
  });
  it('reports a credential as loaded if it is served after a refusal', () => {
    expect(told(resolution(explicit, {}), resolution(explicit, { token: 'x' }))).toEqual(['loaded TOKEN']);
  });
  it('reports other endpoints as another handle, whether the value rotated too or not', () => {
    const moved = provider({ credentials: [credential()], endpoints: [{ host: 'b', port: 1, path: '' }] });
    for (const token of ['x', 'y'])
      expect(told(resolution(explicit, { token: 'x' }), resolution(moved, { token }))).toEqual([
        'handle-changed TOKEN',
      ]);
  });
  it('reports the same name from another Secret as another handle', () => {
    const reference = { namespace: 'tenant', name: 'credentials', key: 'other' };
    const moved = provider({ credentials: [credential({ reference })] });
    const keys = { token: 'x', other: 'y' };
    expect(told(resolution(explicit, keys), resolution(moved, keys))).toEqual(['handle-changed TOKEN']);
  });
});

describe('sameResolution', () => {
  const base = resolution(explicit, { token: 'x' });
  const with_ = (overrides: Partial<Provider>, keys: Keys = { token: 'x' }) =>
    resolution(provider({ credentials: [credential()], ...overrides }), keys);

  it('is true for the same content, whatever objects hold it', () => {
    expect(sameResolution(base, with_({}))).toBe(true);
    const refused = () => resolution(explicit, {});
    expect(sameResolution(refused(), refused())).toBe(true);
  });
  it.each([
    ['value', with_({}, { token: 'y' })],
    ['number of credentials', with_({ credentials: [credential(), credential({ key: 'B' })] })],
    ['endpoints', with_({ endpoints: [...ENDPOINTS, { host: 'b', port: 1, path: '' }] })],
    ['expiry', with_({ credentials: [credential({ expiresAt: { atMs: NOW + 1 } })] })],
    ['required', with_({ credentials: [credential({ required: true })] })],
    ['name', with_({ credentials: [credential({ key: 'OTHER' })] })],
    ['provider', with_({ name: 'other' })],
    ['being refused', with_({}, {})],
    ['refusals beside it', with_({ from: [bulk()] }, { token: 'x', 'b-c': 'y' })],
  ])('is false for another %s', (_, other) => {
    expect(sameResolution(base, other)).toBe(false);
    expect(sameResolution(other, base)).toBe(false);
  });
  it.each([
    ['reason', with_({}, { token: '' })],
    ['required', with_({ credentials: [credential({ required: true })] }, {})],
    ['name', with_({ credentials: [credential({ key: 'OTHER' })] }, {})],
    ['provider', with_({ name: 'other' }, {})],
  ])('is false for a refusal with another %s', (_, other) => {
    expect(sameResolution(resolution(explicit, {}), other)).toBe(false);
  });
});

describe('SnapshotStore', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('starts empty, then has the newest snapshot, and notifies subscribers in order until they unsubscribe', () => {
    const store = new SnapshotStore();
    expect(store.current()).toBeUndefined();
    const seen: string[] = [];
    const leave = store.subscribe(({ credentials }) =>
      seen.push(`a ${credentials[0]?.value.reveal().toString()}`),
    );
    store.subscribe(() => seen.push('b'));
    store.publish(snapshot('1'));
    leave();
    leave();
    store.publish(snapshot('2'));
    expect(seen).toEqual(['a 1', 'b', 'b']);
    expect(store.subscriberCount).toBe(1);
    expect(store.current()?.credentials[0]?.value.reveal().toString()).toBe('2');
  });

  it('has the newest snapshot while it notifies, and lets a subscriber unsubscribe meanwhile', () => {
    const store = new SnapshotStore();
    const leave: (() => void)[] = [];
    const seen: boolean[] = [];
    leave.push(
      store.subscribe((snapshot) => {
        seen.push(store.current() === snapshot);
        for (const each of leave) each();
      }),
    );
    leave.push(store.subscribe(() => seen.push(true)));
    store.publish(snapshot('1'));
    store.publish(snapshot('2'));
    expect(seen).toEqual([true, true]);
    expect(store.subscriberCount).toBe(0);
  });

  it('overwrites a replaced snapshot after a second, and never the current one', () => {
    vi.useFakeTimers();
    const store = new SnapshotStore();
    const [first, second] = [snapshot(newSecret()), snapshot(newSecret())];
    const [old, inForce] = [first, second].map(({ credentials }) => credentials[0]?.value.reveal());
    store.publish(first);
    store.publish(second);
    vi.advanceTimersByTime(ERASE_AFTER_MS - 1);
    expect(old?.some((byte) => byte !== 0)).toBe(true);
    vi.advanceTimersByTime(1);
    expect(old?.every((byte) => byte === 0)).toBe(true);
    vi.advanceTimersByTime(ERASE_AFTER_MS * 10);
    expect(inForce?.some((byte) => byte !== 0)).toBe(true);
  });

  it('drops and overwrites everything at once', () => {
    const store = new SnapshotStore();
    store.drop();
    const only = snapshot(newSecret());
    const bytes = only.credentials[0]?.value.reveal();
    store.publish(only);
    store.drop();
    expect(store.current()).toBeUndefined();
    expect(bytes?.every((byte) => byte === 0)).toBe(true);
  });
});

describe('fingerprint', () => {
  it('is 16 hexadecimal digits, the same for the same value and key, and keyed', () => {
    const [key, otherKey] = [randomBytes(32), randomBytes(32)];
    const token = newSecret();
    const of = (text: string, processKey = key) => {
      const [served] = snapshot(text).credentials;
      if (served === undefined) throw new Error('not served');
      return fingerprint(served, processKey);
    };
    expect(of(token)).toMatch(/^[0-9a-f]{16}$/);
    expect(of(token)).toBe(of(token));
    expect(of(token)).not.toBe(of(newSecret()));
    expect(of(token)).not.toBe(of(token, otherKey));
  });
});
