import { describe, expect, it, vi } from 'vitest';
import type { Caller } from '../../src/config/config.ts';
import { UNMAPPED_UID } from '../../src/domain/kubernetes.ts';
import type { Peer } from '../../src/socket/peer.ts';
import { authorisePeer, maySee, selectProviders, strangerRefusal } from '../../src/socket/policy.ts';

const OWN = 10_771;
const caller = (rule: Partial<Caller>): Caller => ({
  name: 'supervisor',
  uid: 0,
  gid: undefined,
  exe: undefined,
  providers: ['*'],
  ...rule,
});
const peer = (uid: number, gid = uid, groups: readonly number[] | undefined = [], pid = 4_242) => ({
  pid,
  uid,
  gid,
  groups,
});
const exe = (path: string) => () => path;
const unknownExe = () => undefined;
const judge = (who: Peer, rules: Caller[], program = exe('/usr/bin/x')) =>
  authorisePeer(who, program, rules, OWN);

describe('authorisePeer', () => {
  it('lets in whom a rule names, under the name of the rule', () => {
    expect(judge(peer(0), [caller({ providers: ['a*'] })])).toEqual({
      caller: { name: 'supervisor', providers: ['a*'], namesOnly: false },
    });
  });

  it.each<[string, Peer, Caller[], string]>([
    ['nobody, where there is no rule', peer(0), [], 'uid-not-listed'],
    ['another UID', peer(1), [caller({})], 'uid-not-listed'],
    ['another primary group', peer(0, 5), [caller({ gid: 6 })], 'gid-not-listed'],
    ['a group that is nowhere', peer(0, 5, [7, 8]), [caller({ gid: 6 })], 'gid-not-listed'],
    [
      'groups that the kernel does not tell',
      { ...peer(0, 5), groups: undefined },
      [caller({ gid: 6 })],
      'gid-not-listed',
    ],
    ['another program', peer(0), [caller({ exe: '/opt/openshell/bin/*' })], 'exe-not-listed'],
    [
      'the unmapped UID, though a rule were to name it',
      peer(UNMAPPED_UID),
      [caller({ uid: UNMAPPED_UID })],
      'unmapped-uid',
    ],
  ])('refuses %s', (_what, who, rules, kind) => {
    expect(judge(who, rules)).toEqual({ refusal: kind });
  });

  it.each([
    ['its primary group', peer(0, 6)],
    ['a supplementary group', peer(0, 5, [4, 6])],
  ])('takes a listed gid as %s', (_what, who) => {
    expect(judge(who, [caller({ gid: 6 })])).toHaveProperty('caller');
  });

  it('takes a star in exe for one folder', () => {
    const rules = [caller({ exe: '/opt/openshell/bin/*' })];
    expect(judge(peer(0), rules, exe('/opt/openshell/bin/supervisor'))).toHaveProperty('caller');
    expect(judge(peer(0), rules, exe('/opt/openshell/bin/deep/supervisor'))).toEqual({
      refusal: 'exe-not-listed',
    });
    expect(judge(peer(0), rules, exe('/opt/openshell/bin/supervisor (deleted)x/y'))).toEqual({
      refusal: 'exe-not-listed',
    });
  });

  it('refuses where the program cannot be read and the rule names one', () => {
    expect(authorisePeer(peer(0), unknownExe, [caller({ exe: '/x' })], OWN)).toEqual({
      refusal: 'exe-unreadable',
    });
  });

  it('does not look at the program unless a rule names one', () => {
    const look = vi.fn(exe('/x'));
    authorisePeer(peer(0), look, [caller({})], OWN);
    authorisePeer(peer(1), look, [caller({ exe: '/x' })], OWN);
    expect(look).not.toHaveBeenCalled();
  });

  it('takes the first rule of the UID that fits, and tells the last misfit where none does', () => {
    const rules = [
      caller({ name: 'first', gid: 9 }),
      caller({ name: 'second', gid: 6, providers: ['b'] }),
      caller({ name: 'third', gid: 6 }),
    ];
    expect(judge(peer(0, 6), rules)).toMatchObject({ caller: { name: 'second' } });
    expect(judge(peer(0, 5), [caller({ gid: 6 }), caller({ exe: '/y' })])).toEqual({
      refusal: 'exe-not-listed',
    });
  });

  it('shows no name to a connection that claims to be this process, as all do where the kernel is wrong', () => {
    expect(judge(peer(OWN, OWN, [], process.pid), [])).toEqual({ refusal: 'uid-not-listed' });
  });

  it('shows names to our own UID where no rule lists it and its process is ours to see', () => {
    expect(judge(peer(OWN), [])).toEqual({ caller: { name: 'self', providers: ['*'], namesOnly: true } });
    expect(judge(peer(OWN, OWN, [], 0), [])).toEqual({ refusal: 'uid-not-listed' });
    expect(judge(peer(OWN), [caller({ uid: OWN, exe: '/other' })])).toEqual({ refusal: 'exe-not-listed' });
    expect(judge(peer(OWN), [caller({ uid: OWN })])).toMatchObject({ caller: { namesOnly: false } });
  });
});

describe('strangerRefusal', () => {
  it.each([
    [UNMAPPED_UID, 'unmapped-uid'],
    [7, 'uid-not-listed'],
    [0, undefined],
    [OWN, undefined],
  ])('judges uid %i as authorisePeer would: %s', (uid, kind) => {
    expect(strangerRefusal(uid, [caller({})], OWN)).toBe(kind);
    const full = judge(peer(uid), [caller({})]);
    expect('refusal' in full ? full.refusal : undefined).toBe(kind);
  });
});

describe('selectProviders', () => {
  const known = ['nvbugs-gitlab', 'nvbugs-jira', 'slack'];
  const who = { name: 'supervisor', providers: ['nvbugs-*'], namesOnly: false };

  it('gives all that the caller may see for an empty request', () => {
    expect(selectProviders(who, [], known)).toEqual(['nvbugs-gitlab', 'nvbugs-jira']);
    expect(selectProviders({ ...who, providers: [] }, [], known)).toEqual([]);
  });

  it('gives what was asked for, once', () => {
    expect(selectProviders(who, ['nvbugs-jira', 'nvbugs-jira'], known)).toEqual(['nvbugs-jira']);
  });

  it.each([[['slack']], [['nobody']], [['nvbugs-jira', 'slack']], [['nvbugs-nobody']], [['*']], [['']]])(
    'refuses %j as a whole',
    (requested) => {
      expect(selectProviders(who, requested, known)).toBe(undefined);
    },
  );

  it('knows no glob in a request and no prefix in a rule', () => {
    expect(maySee({ ...who, providers: ['slack'] }, 'slack2')).toBe(false);
    expect(maySee({ ...who, providers: ['*'] }, 'anything')).toBe(true);
  });
});
