import { describe, expect, it } from 'vitest';
import type { AuditedCaller } from '../../src/observe/audit/record.ts';
import { ALWAYS_LISTED, LIST_AGAIN_MS, ServedLists } from '../../src/observe/audit/served-lists.ts';

const SUPERVISOR: AuditedCaller = { name: 'supervisor', uid: 5, gid: 5, pid: 42, exe: undefined };
const OTHER: AuditedCaller = { ...SUPERVISOR, name: 'other', uid: 6 };
const NOW = 1_800_000_000_000;

const some = (count: number) =>
  Array.from({ length: count }, (_, at) => ({
    provider: 'gitlab',
    key: `TOKEN_${at}`,
    reference: { namespace: 'n', name: 's', key: `${at}` },
    required: false,
  }));
const names = (count: number) =>
  some(count).map(({ key }, at) => ({ provider: 'gitlab', key, reference: `n/s/${at}`, required: false }));

describe('what a record of a serve says of its credentials', () => {
  it('is each of them, every time, where they are few', () => {
    const lists = new ServedLists();
    const few = some(ALWAYS_LISTED);
    for (const now of [NOW, NOW, NOW + 1]) {
      expect(lists.facts(SUPERVISOR, few, now)).toEqual({ credentials: names(ALWAYS_LISTED) });
    }
  });

  it('is each of many once, and then when that was said, until it is time to say it again', () => {
    const lists = new ServedLists();
    const count = ALWAYS_LISTED + 1;
    const many = some(count);
    const all = { credentials: names(count) };
    const referred = (at: number) => ({ credentials_count: count, credentials_listed_at: at });
    expect(lists.facts(SUPERVISOR, many, NOW)).toEqual(all);
    expect(lists.facts(SUPERVISOR, many, NOW)).toEqual(referred(NOW));
    expect(lists.facts(SUPERVISOR, many, NOW + LIST_AGAIN_MS - 1)).toEqual(referred(NOW));
    expect(lists.facts(SUPERVISOR, many, NOW + LIST_AGAIN_MS)).toEqual(all);
    expect(lists.facts(SUPERVISOR, many, NOW + LIST_AGAIN_MS + 1)).toEqual(referred(NOW + LIST_AGAIN_MS));
  });

  it('is each of many for every caller, every revision, and after the clock was set back', () => {
    const lists = new ServedLists();
    const many = some(40);
    const all = { credentials: names(40) };
    expect(lists.facts(SUPERVISOR, many, NOW)).toEqual(all);
    expect(lists.facts(OTHER, many, NOW)).toEqual(all);
    expect(lists.facts(SUPERVISOR, some(40), NOW)).toEqual(all);
    expect(lists.facts(SUPERVISOR, many, NOW - 1)).toEqual(all);
  });

  it('is each of many where more callers ask than are remembered', () => {
    const lists = new ServedLists();
    const many = some(20);
    for (let uid = 0; uid < 1_024; uid++) lists.facts({ ...SUPERVISOR, uid }, many, NOW);
    const late = { ...SUPERVISOR, uid: 1_024 };
    for (let round = 0; round < 2; round++) {
      expect(lists.facts(late, many, NOW)).toEqual({ credentials: names(20) });
    }
  });

  it('shares one list of names among all that wait for an acknowledgement', () => {
    const lists = new ServedLists();
    const few = some(ALWAYS_LISTED);
    expect(lists.short(few)).toBe(lists.short(few));
  });
});
