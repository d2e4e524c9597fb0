/** Each kind of record: what it says in OCSF's words, what in ours, and that it is OCSF at all. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Audit } from '../../src/observe/audit/audit.ts';
import type { AuditedCaller } from '../../src/observe/audit/record.ts';
import { PERIOD_MS, RECORDS_PER_PERIOD } from '../../src/observe/audit/refusal-records.ts';
import { SANDBOX } from '../support/workspace.ts';
import { ocsfFaults } from './ocsf.ts';

type Records = Record<string, unknown>[];
const NOW = 1_800_000_000_000;
const CALLER: AuditedCaller = { name: 'supervisor', uid: 5, gid: 1000, pid: 42, exe: '/opt/openshell/bin/x' };
const STRANGER: AuditedCaller = { name: undefined, uid: 1000, gid: 1000, pid: 0, exe: undefined };
const UNKNOWN: AuditedCaller = {
  name: undefined,
  uid: undefined,
  gid: undefined,
  pid: undefined,
  exe: undefined,
};
const CREDENTIAL = {
  provider: 'gitlab',
  key: 'TOKEN',
  reference: { namespace: 'n', name: 's', key: 'token' },
  required: true,
};
const REVISION = 2n ** 63n + 1n;

const call = (operation: string) => ({ service: 'secretresolver.v1.CredentialResolver', operation });

let records: Records;
let audit: Audit;
beforeEach(() => {
  records = [];
  // Through JSON, as they are written.
  const write = (record: string) => records.push(JSON.parse(record));
  audit = new Audit({ write, [Symbol.asyncDispose]: async () => {} }, SANDBOX, () => NOW);
});
afterEach(() => {
  for (const record of records) expect(ocsfFaults(record)).toEqual([]);
  expect(records.length).toBeGreaterThan(0);
});

const callersOf = (provider: string) => (provider === 'gitlab' ? ['supervisor'] : []);
const acknowledge = (outcome: 'applied' | 'rejected') =>
  audit.acknowledged(call('WatchProviderEnvironment'), CALLER, {
    revision: 7n,
    outcome,
    correlation: 'watch-1',
    facts: audit.shortList([CREDENTIAL]),
  });

const CHANGES = ['loaded', 'rotated', 'handle-changed', 'revoked', 'refused'] as const;
const KINDS: readonly (readonly [name: string, write: () => void, expected: object])[] = [
  [
    'started',
    () => audit.lifecycle('started', 'version 1'),
    { type_uid: 600203, status_id: 1, status_detail: 'version 1', message: 'resolver started' },
  ],
  ['stopped', () => audit.lifecycle('stopped', 'SIGTERM'), { type_uid: 600204, message: 'resolver stopped' }],
  [
    'served',
    () => audit.served(call('GetProviderEnvironment'), CALLER, [CREDENTIAL], REVISION),
    {
      type_uid: 600302,
      status_id: 1,
      severity_id: 1,
      action_id: 1,
      message: 'GetProviderEnvironment: served',
      time: NOW,
      actor: {
        app_name: 'supervisor',
        user: { uid: '5', groups: [{ uid: '1000' }] },
        process: { pid: 42, file: { path: '/opt/openshell/bin/x', name: 'x', type_id: 1 } },
      },
      unmapped: {
        sandbox: SANDBOX,
        caller: { name: 'supervisor', uid: 5, gid: 1000, pid: 42, exe: '/opt/openshell/bin/x' },
        outcome: 'served',
        // As text: JSON's numbers end before 2^64.
        revision: '9223372036854775809',
        credentials: [{ provider: 'gitlab', key: 'TOKEN', reference: 'n/s/token', required: true }],
      },
    },
  ],
  [
    'served, to be acknowledged',
    () => audit.served(call('WatchProviderEnvironment'), CALLER, [CREDENTIAL], REVISION, 'watch-1'),
    { type_uid: 600302, metadata: { correlation_uid: 'watch-1' }, unmapped: { outcome: 'served' } },
  ],
  [
    'listed',
    () => audit.listed(call('GetStatus'), CALLER),
    { type_uid: 600302, status_id: 1, unmapped: { outcome: 'listed' } },
  ],
  [
    'denied',
    () => audit.denied(call('ListCredentials'), CALLER, 'not-ready', { providers: ['x'] }),
    {
      type_uid: 600302,
      status_id: 2,
      severity_id: 3,
      action_id: 2,
      status_detail: 'not-ready',
      unmapped: { outcome: 'denied', reason: 'not-ready', providers: ['x'] },
    },
  ],
  [
    'acknowledged as applied',
    () => acknowledge('applied'),
    {
      status_id: 1,
      status_detail: 'acknowledged as applied',
      metadata: { correlation_uid: 'watch-1' },
      unmapped: {
        outcome: 'acknowledged',
        revision: '7',
        sandbox: SANDBOX,
        caller: { name: 'supervisor', uid: 5 },
        credentials: [{ provider: 'gitlab', key: 'TOKEN', reference: 'n/s/token', required: true }],
      },
    },
  ],
  [
    'acknowledged as rejected',
    () => acknowledge('rejected'),
    { status_id: 2, status_detail: 'acknowledged as rejected' },
  ],
  [
    'a refused peer',
    () => audit.peerRefused(STRANGER, 'uid-not-listed'),
    {
      type_uid: 600302,
      status_id: 2,
      api: { operation: 'connect' },
      actor: { user: { uid: '1000' }, process: { pid: 0 } },
      unmapped: {
        outcome: 'peer-refused',
        reason: 'uid-not-listed',
        caller: { uid: 1000, gid: 1000, pid: 0 },
      },
    },
  ],
  [
    'a peer of which nothing is known',
    () => audit.peerRefused(UNKNOWN, 'unidentified'),
    { status_id: 2, unmapped: { caller: {}, reason: 'unidentified' } },
  ],
  ...CHANGES.map((kind) => {
    const bad = kind !== 'loaded' && kind !== 'rotated';
    const reason = kind === 'refused' || kind === 'revoked' ? ({ reason: 'key-missing' } as const) : {};
    return [
      `credential ${kind}`,
      () => audit.credentialsChanged([{ kind, ...CREDENTIAL, reason: undefined, ...reason }], 9n, callersOf),
      {
        type_uid: 501901,
        severity_id: bad ? 3 : 1,
        status_id: kind === 'refused' ? 2 : 1,
        message: `credential ${kind}: gitlab:TOKEN`,
        device: { uid: SANDBOX.id, name: SANDBOX.name, type_id: 6 },
        unmapped: {
          outcome: kind,
          provider: 'gitlab',
          key: 'TOKEN',
          reference: 'n/s/token',
          required: true,
          callers: ['supervisor'],
          revision: '9',
          ...reason,
        },
      },
    ] as const;
  }),
  [
    'configuration reloaded',
    () => audit.configReloaded(true, '/etc/x.yaml'),
    {
      type_uid: 501901,
      status_id: 1,
      status_detail: '/etc/x.yaml',
      unmapped: { outcome: 'config-reloaded' },
    },
  ],
  [
    'configuration refused',
    () => audit.configReloaded(false, '1 mistake'),
    { status_id: 2, severity_id: 3, unmapped: { outcome: 'config-refused' } },
  ],
  [
    'socket lost',
    () => audit.socketLost('/run/a/b.sock', 'replaced'),
    {
      type_uid: 200401,
      severity_id: 4,
      status_id: 1,
      message: 'the socket file was replaced',
      unmapped: { path: '/run/a/b.sock' },
    },
  ],
  ...(
    [
      ['enforce', 'fail', { type_uid: 200401, severity_id: 5, status_id: 1 }],
      ['warn', 'fail', { type_uid: 200401, severity_id: 3, status_id: 1 }],
      ['enforce', 'pass', { type_uid: 200403, severity_id: 1, status_id: 4 }],
    ] as const
  ).map(
    ([severity, outcome, expected]) =>
      [
        `a ${severity} finding: ${outcome}`,
        () =>
          audit.boundaryFinding({
            id: 'self-uid',
            severity,
            outcome,
            evidence: 'uid 0',
            remedy: 'runAsUser',
          }),
        {
          ...expected,
          finding_info: { uid: 'self-uid' },
          unmapped: { finding: 'self-uid', severity, outcome, remedy: 'runAsUser' },
        },
      ] as const,
  ),
];

test.each(KINDS)('%s', (_name, write, expected) => {
  write();
  expect(records).toHaveLength(1);
  expect(records[0]).toMatchObject(expected);
});

test('the rules that the records are held to do refuse', () => {
  audit.served(call('GetProviderEnvironment'), CALLER, [], 1n);
  const good = structuredClone(records[0]) ?? {};
  const { metadata, ...withoutMetadata } = good;
  for (const bad of [
    withoutMetadata,
    { ...good, class_uid: 1 },
    { ...good, type_uid: 600301 },
    { ...good, activity_id: 7 },
    { ...good, status_id: 3 },
    { ...good, severity_id: 7 },
    { ...good, time: '2026' },
    { ...good, actor: {} },
    { ...good, api: {} },
    { ...good, provider: 'x' },
    { ...good, metadata: { ...(metadata as object), profiles: undefined } },
  ])
    expect(ocsfFaults(JSON.parse(JSON.stringify(bad)))).not.toEqual([]);
});

describe('refused peers', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const leftOut = () => records.map(({ unmapped }) => (unmapped as { left_out?: number }).left_out ?? 0);

  test('a thousand of one UID make a few lines and a count', () => {
    for (let index = 0; index < 1_000; index++) audit.peerRefused(STRANGER, 'uid-not-listed');
    expect(leftOut()).toEqual([0, 0, 0, 0, 0]);
    vi.advanceTimersByTime(PERIOD_MS);
    expect(leftOut()).toEqual([0, 0, 0, 0, 0, 1_000 - RECORDS_PER_PERIOD]);
    expect(records.at(-1)).toMatchObject({ unmapped: { caller: { uid: 1000 }, reason: 'uid-not-listed' } });
    // A quiet period adds nothing, and the next one begins anew.
    vi.advanceTimersByTime(10 * PERIOD_MS);
    expect(records).toHaveLength(6);
    audit.peerRefused(STRANGER, 'uid-not-listed');
    expect(records).toHaveLength(7);
  });

  test('a flood of one UID does not hide another UID, nor another reason', () => {
    for (let index = 0; index < 1_000; index++) audit.peerRefused(STRANGER, 'uid-not-listed');
    audit.peerRefused({ ...STRANGER, uid: 7 }, 'uid-not-listed');
    audit.peerRefused(STRANGER, 'too-many-connections');
    expect(records.slice(RECORDS_PER_PERIOD)).toMatchObject([
      { unmapped: { caller: { uid: 7 } } },
      { unmapped: { reason: 'too-many-connections' } },
    ]);
  });

  test('a user namespace full of UIDs makes a bounded number of lines, and none is lost from the count', () => {
    const total = 20_000;
    for (let uid = 0; uid < total; uid++) audit.peerRefused({ ...STRANGER, uid }, 'uid-not-listed');
    vi.advanceTimersByTime(PERIOD_MS);
    expect(records.length).toBeLessThan(300);
    const written = leftOut().filter((count) => count === 0).length;
    expect(written + leftOut().reduce((sum, count) => sum + count, 0)).toBe(total);
    // The count of them all accuses none of them.
    expect(records.at(-1)).toMatchObject({ unmapped: { caller: {}, reason: 'several UIDs and reasons' } });
  });

  test('a UID that is known keeps its own count while others flood', () => {
    for (let index = 0; index < 10; index++) audit.peerRefused(STRANGER, 'uid-not-listed');
    for (let uid = 2_000; uid < 3_000; uid++) audit.peerRefused({ ...STRANGER, uid }, 'uid-not-listed');
    for (let index = 0; index < 10; index++) audit.peerRefused(STRANGER, 'uid-not-listed');
    vi.advanceTimersByTime(PERIOD_MS);
    const counted = records.filter(
      ({ unmapped }) => (unmapped as { left_out?: number }).left_out !== undefined,
    );
    expect(counted).toMatchObject([
      { unmapped: { caller: { uid: 1000 }, left_out: 15 } },
      { unmapped: { caller: {} } },
    ]);
  });

  test('what was left out is told at the end', async () => {
    for (let index = 0; index < 10; index++) audit.peerRefused(STRANGER, 'uid-not-listed');
    await audit[Symbol.asyncDispose]();
    expect(leftOut()).toEqual([0, 0, 0, 0, 0, 5]);
  });
});

test('a rotation of ten thousand keys takes 20 records, which name every key', () => {
  const keys = Array.from({ length: 10_000 }, (_, index) => `KEY_${index}`);
  const change = { ...CREDENTIAL, kind: 'rotated', reason: undefined } as const;
  audit.credentialsChanged(
    [
      ...keys.map((key) => ({ ...change, key, reference: { ...CREDENTIAL.reference, key } })),
      { ...change, key: 'RENAMED', reference: { ...CREDENTIAL.reference, key: 'old.name' } },
    ],
    9n,
    callersOf,
  );
  expect(records).toHaveLength(21);
  const written = records as unknown as { unmapped: { keys?: string[]; key?: string; reference: string } }[];
  expect(written.flatMap(({ unmapped }) => unmapped.keys ?? [])).toEqual(keys);
  expect(written[0]).toMatchObject({
    message: 'credentials rotated: 500 of gitlab from n/s',
    unmapped: { outcome: 'rotated', provider: 'gitlab', reference: 'n/s/*', revision: '9' },
  });
  expect(written[20]?.unmapped).toMatchObject({ key: 'RENAMED', reference: 'n/s/old.name' });
  expect(JSON.stringify(records).length).toBeLessThan(300_000);
});
