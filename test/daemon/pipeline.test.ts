import { randomBytes } from 'node:crypto';
import { setTimeout as sleep, setImmediate as written } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadConfig } from '../../src/consumers/load-config.ts';
import { Pipeline } from '../../src/daemon/pipeline.ts';
import { Audit } from '../../src/observe/audit/audit.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { type Snapshot, SnapshotStore } from '../../src/snapshot/snapshot.ts';
import { Views } from '../../src/snapshot/views.ts';
import { until } from '../support/cli.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import type { Records } from '../support/test-server.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

let workspace: Workspace;
let store: SnapshotStore;
let records: Records;
let log: MemoryLog;
let pipeline: Pipeline;
/** Served texts by key, of each snapshot in order. */
let served: Record<string, string>[];
/** Refusal reasons by key, of each snapshot in order. */
let refused: Record<string, string>[];

const source = (name: string, key: string) => ({ type: 'kubernetesSecret', namespace: NAMESPACE, name, key });
const config = () => loadConfig(workspace.configFile, {});

function provide(credentials: Record<string, object>): void {
  workspace.writeProvider('gitlab.yaml', {
    name: 'gitlab',
    type: 'custom',
    endpoints: ENDPOINTS,
    credentials,
  });
}

async function start(): Promise<void> {
  const { sandbox } = config();
  const audit = new Audit(
    {
      write: (record) => records.push(JSON.parse(record) as Records[number]),
      [Symbol.asyncDispose]: async () => {},
    },
    sandbox,
  );
  pipeline = new Pipeline(config(), {
    store,
    views: new Views(sandbox, randomBytes(32)),
    audit,
    log: log.log,
    meter: new Metrics(() => expect.fail('nobody asks for metrics')),
  });
  await pipeline.start();
}

/** A JSON Web Token that ends at a time; nothing of it but its shape is real. */
function jwt(expiresAtMs: number): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return registerSecret(
    `${part({ alg: 'none', n: newSecret() })}.${part({ exp: expiresAtMs / 1000 })}.${newSecret('sig')}`,
  );
}

/** What is written down is written after the snapshot is on its way. */
async function outcomes(): Promise<string[]> {
  await written();
  return records.map(({ unmapped }) => `${unmapped.outcome} ${unmapped.key ?? ''}`);
}

beforeEach(() => {
  workspace = new Workspace();
  store = new SnapshotStore();
  records = [];
  log = new MemoryLog();
  served = [];
  refused = [];
  store.subscribe((snapshot: Snapshot) => {
    served.push(
      Object.fromEntries(snapshot.credentials.map(({ key, value }) => [key, value.reveal().toString()])),
    );
    refused.push(Object.fromEntries(snapshot.refusals.map(({ key, reason }) => [key, reason])));
  });
});
afterEach(async () => {
  vi.useRealTimers();
  await pipeline[Symbol.asyncDispose]();
  workspace[Symbol.dispose]();
});

describe('volumes to snapshots', () => {
  it('publishes once at the start, and once for each change that a caller could tell', async () => {
    const [first, second] = [newSecret(), newSecret()];
    provide({ TOKEN: { source: source('a', 'token') }, OTHER: { source: source('b', 'token') } });
    const [a, b] = [workspace.secret('a'), workspace.secret('b')];
    a.write({ token: first });
    b.write({ token: first });
    await start();
    expect(served).toEqual([{ TOKEN: first, OTHER: first }]);
    a.write({ token: first, unrelated: 'x' });
    b.write({ token: second });
    await until(() => served.length === 2);
    expect(served[1]).toEqual({ TOKEN: first, OTHER: second });
    expect(await outcomes()).toEqual(['loaded OTHER', 'loaded TOKEN', 'rotated OTHER']);
    expect(pipeline.volumes.map(({ secret, rotations }) => [secret.name, rotations])).toEqual([
      ['a', 0],
      ['b', 1],
    ]);
  });

  it('revokes what is removed, in the next snapshot and on the record, with advice in the log', async () => {
    provide({ TOKEN: { source: source('a', 'token') } });
    const secret = workspace.secret('a');
    secret.write({ token: newSecret() });
    await start();
    secret.write({});
    await until(() => served.length === 2);
    expect([served[1], refused[1]]).toEqual([{}, { TOKEN: 'key-missing' }]);
    expect(await outcomes()).toEqual(['loaded TOKEN', 'revoked TOKEN']);
    expect(log.with('credential revoked')).toEqual([
      expect.objectContaining({
        provider: 'gitlab',
        key: 'TOKEN',
        reason: 'key-missing',
        todo: expect.any(String),
      }),
    ]);
  });

  it('logs twenty of many refused keys and counts the rest, while the audit has them all', async () => {
    workspace.writeBulkProvider('bulk', 'a');
    const secret = workspace.secret('a');
    const value = newSecret();
    const keys = (prefix: string) =>
      Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`${prefix}-${n}`, value]));
    secret.write({ ...keys('illegal'), TOKEN: value });
    await start();
    await written();
    const named = () =>
      records.flatMap(({ unmapped: { keys, key } }) => (keys as string[] | undefined) ?? [String(key)]);
    expect(named().toSorted()).toEqual([...Object.keys(keys('illegal')), 'TOKEN'].toSorted());
    expect(log.lines.filter(({ level }) => Number(level) >= 30)).toHaveLength(21);
    expect(log.lines.at(-1)).toMatchObject({
      level: 40,
      more: [{ what: 'credential refused', reason: 'illegal-name', count: expect.any(Number) }],
      msg: 'further lines of the same kind are left out; the audit names every credential',
    });
    secret.write({ ...keys('others'), TOKEN: value });
    await until(() => named().length === 501 + 500);
    expect(log.lines.filter(({ level }) => Number(level) >= 30)).toHaveLength(42);
  });

  it("warns of a value above the 8192 bytes of OpenShell's gateway, and serves it", async () => {
    provide({ TOKEN: { source: source('a', 'token') } });
    workspace.secret('a').write({ token: newSecret().padEnd(8193, '=') });
    await start();
    expect(served[0]?.TOKEN).toHaveLength(8193);
    await written();
    expect(log.lines.filter(({ bytes }) => bytes === 8193)).toHaveLength(1);
  });

  it('overwrites the values of a snapshot that was replaced, and not those in force', async () => {
    provide({ TOKEN: { source: source('a', 'token') }, SAME: { source: source('a', 'same') } });
    const secret = workspace.secret('a');
    const same = newSecret();
    secret.write({ token: newSecret(), same });
    await start();
    const old = store.current()?.credentials.map(({ value }) => value.reveal()) ?? [];
    secret.write({ token: newSecret(), same });
    await until(() => served.length === 2);
    await until(() => old.every((bytes) => bytes.every((byte) => byte === 0)));
    expect(store.current()?.credentials.map(({ value }) => value.reveal().toString())).toContain(same);
  });
});

describe('expiry, without an event of a file', () => {
  it('withdraws at its time what a literal, a sibling key and a JWT end', async () => {
    const at = Math.ceil(Date.now() / 1000) * 1000 + 1_000;
    const lasting = newSecret();
    provide({
      LITERAL: { source: source('a', 'token'), expiresAt: at },
      SIBLING: { source: source('a', 'token'), expiresAt: { key: 'until' } },
      JWT: { source: source('a', 'jwt'), format: 'jwt' },
      LASTING: { source: source('a', 'token') },
    });
    workspace.secret('a').write({ token: lasting, until: new Date(at).toISOString(), jwt: jwt(at) });
    await start();
    expect(Object.keys(served[0] ?? {}).sort()).toEqual(['JWT', 'LASTING', 'LITERAL', 'SIBLING']);
    await until(() => served.length === 2);
    const late = Date.now() - at;
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(1_200);
    expect(served[1]).toEqual({ LASTING: lasting });
    expect(refused[1]).toEqual({ LITERAL: 'expired', SIBLING: 'expired', JWT: 'expired' });
    expect((await outcomes()).slice(4).sort()).toEqual(['revoked JWT', 'revoked LITERAL', 'revoked SIBLING']);
  });

  it('withdraws one after the other, each at its time', async () => {
    const now = Date.now();
    provide({
      FIRST: { source: source('a', 'token'), expiresAt: now + 1_000 },
      SECOND: { source: source('a', 'token'), expiresAt: now + 1_500 },
    });
    workspace.secret('a').write({ token: newSecret() });
    await start();
    await until(() => served.length === 3);
    expect(served.map((each) => Object.keys(each))).toEqual([['FIRST', 'SECOND'], ['SECOND'], []]);
  });

  it('refuses from the start what has ended already, and is not kept busy by it', async () => {
    provide({ TOKEN: { source: source('a', 'token'), expiresAt: Date.now() - 1 } });
    workspace.secret('a').write({ token: newSecret() });
    await start();
    await sleep(50);
    expect([served, refused]).toEqual([[{}], [{ TOKEN: 'expired' }]]);
    expect(await outcomes()).toEqual(['refused TOKEN']);
  });

  it('notices within about a second that the wall clock was set forward, far beyond the next look', async () => {
    const hour = 3_600_000;
    provide({ TOKEN: { source: source('a', 'token'), expiresAt: Date.now() + hour } });
    workspace.secret('a').write({ token: newSecret() });
    await start();
    expect(Object.keys(served[0] ?? {})).toEqual(['TOKEN']);
    // The clock alone; timers and the monotonic clock stay real.
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * hour });
    const before = performance.now();
    await until(() => served.length === 2);
    expect(performance.now() - before).toBeLessThan(1_500);
    expect(served[1]).toEqual({});
  });

  it('does not end a credential whose end is further away than any timer or date can hold', async () => {
    provide({ TOKEN: { source: source('a', 'jwt') }, OTHER: { source: source('a', 'huge') } });
    workspace.secret('a').write({ jwt: jwt(Date.now() + 1e15), huge: jwt(1e306) });
    await start();
    await sleep(50);
    expect(served.map((each) => Object.keys(each))).toEqual([['OTHER', 'TOKEN']]);
  });

  it('serves what was renewed after its end', async () => {
    provide({ TOKEN: { source: source('a', 'token'), expiresAt: { key: 'until' } } });
    const secret = workspace.secret('a');
    const token = newSecret();
    secret.write({ token, until: `${Date.now() + 1_000}` });
    await start();
    await until(() => served.length === 2);
    secret.write({ token, until: `${Date.now() + 60_000}` });
    await until(() => served.length === 3);
    expect(served).toEqual([{ TOKEN: token }, {}, { TOKEN: token }]);
  });
});

describe('reload', () => {
  it('publishes the new configuration once, with what is mounted, and never nothing between', async () => {
    const [first, second] = [newSecret(), newSecret()];
    provide({ TOKEN: { source: source('a', 'token') } });
    workspace.secret('a').write({ token: first });
    workspace.secret('b').write({ token: second });
    await start();
    provide({ TOKEN: { source: source('a', 'token') }, OTHER: { source: source('b', 'token') } });
    await pipeline.reload(config());
    expect(served).toEqual([{ TOKEN: first }, { TOKEN: first, OTHER: second }]);
    expect(pipeline.volumes.map(({ secret }) => secret.name)).toEqual(['a', 'b']);
  });

  it('publishes nothing for a configuration that changes nothing', async () => {
    provide({ TOKEN: { source: source('a', 'token') } });
    workspace.secret('a').write({ token: newSecret() });
    await start();
    await pipeline.reload(config());
    expect(served).toHaveLength(1);
  });

  it('goes on with the new volumes, and no more with the old ones', async () => {
    provide({ TOKEN: { source: source('a', 'token') } });
    const [a, b] = [workspace.secret('a'), workspace.secret('b')];
    a.write({ token: newSecret() });
    b.write({ token: newSecret() });
    await start();
    provide({ TOKEN: { source: source('b', 'token') } });
    await pipeline.reload(config());
    expect(await outcomes()).toEqual(['loaded TOKEN', 'handle-changed TOKEN']);
    expect(log.lines.find(({ msg }) => String(msg).startsWith('the handles of these'))).toMatchObject({
      level: 40,
      credentials: ['gitlab:TOKEN'],
    });
    a.write({ token: newSecret() });
    const next = newSecret();
    b.write({ token: next });
    await until(() => served.length === 3);
    expect(served[2]).toEqual({ TOKEN: next });
  });

  it('withdraws while it is under way what the old volumes lose', async () => {
    provide({ TOKEN: { source: source('a', 'token') } });
    const secret = workspace.secret('a');
    secret.write({ token: newSecret() });
    await start();
    const reloading = pipeline.reload(config());
    secret.write({});
    await reloading;
    await until(() => served.length === 2);
    expect(served[1]).toEqual({});
  });

  it('takes several at once in their order: the last is in force, and nothing is withdrawn between', async () => {
    const token = newSecret();
    provide({ TOKEN: { source: source('a', 'token') } });
    workspace.secret('a').write({ token });
    await start();
    const same = [pipeline.reload(config()), pipeline.reload(config())];
    provide({ TOKEN: { source: source('a', 'token') }, LAST: { source: source('a', 'token') } });
    await Promise.all([...same, pipeline.reload(config())]);
    expect(served).toEqual([{ TOKEN: token }, { TOKEN: token, LAST: token }]);
  });

  it('leaves no descriptor behind, and publishes nothing after its end', async () => {
    provide({ TOKEN: { source: source('a', 'token'), expiresAt: Date.now() + 500 } });
    const secret = workspace.secret('a');
    secret.write({ token: newSecret() });
    await start();
    const descriptors = openDescriptors();
    for (let round = 0; round < 5; round++) await pipeline.reload(config());
    expect(openDescriptors()).toEqual(descriptors);
    const reloading = pipeline.reload(config());
    await pipeline[Symbol.asyncDispose]();
    await reloading;
    await pipeline.reload(config());
    secret.write({ token: newSecret() });
    await sleep(700);
    expect(served).toHaveLength(1);
    await pipeline[Symbol.asyncDispose]();
  });
});
