/** GetStatus shows a caller what concerns the providers that it may see, and nothing of the others. */
import { fromBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodeStatus } from '../../src/consumers/native/status.ts';
import type { StatusFacts } from '../../src/consumers/status-facts.ts';
import { GetStatusResponseSchema } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { newSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

let server: TestServer;
beforeEach(async () => {
  const workspace = new Workspace();
  for (const name of ['mine', 'theirs']) {
    workspace.writeProvider(`${name}.yaml`, {
      name,
      type: 'custom',
      endpoints: ENDPOINTS,
      credentials: {
        [name.toUpperCase()]: {
          source: { type: 'kubernetesSecret', namespace: NAMESPACE, name, key: 'token' },
        },
      },
    });
  }
  server = await TestServer.open(workspace);
  server.publish({ mine: { token: newSecret() }, theirs: { token: newSecret() } });
});
afterEach(() => server[Symbol.asyncDispose]());

const facts = (): StatusFacts => ({
  sandbox: server.config.sandbox,
  boundary: {
    verdict: 'proven',
    relaxed: false,
    exceptions: ['capability: process 12 (theirs): trusted by the configuration'],
    findings: [
      {
        id: 'mount-tmpfs',
        severity: 'enforce',
        outcome: 'pass',
        evidence: `${NAMESPACE}/theirs: tmpfs`,
        remedy: 'nothing',
      },
    ],
    checkedAtMs: 1,
  },
  volumes: ['mine', 'theirs'].map((name) => ({
    secret: { namespace: NAMESPACE, name },
    directory: `/secrets/${name}`,
    read: { kind: 'fault', fault: 'secret-missing', code: 'ENOENT' },
    readAtMs: 1,
    readAt: 1,
    rotations: 0,
  })),
  providers: server.config.providers,
  startedAtMs: 1,
  notServing: [],
  watches: [],
  refusedPeers: [{ uid: 4_242, reason: 'uid-not-listed', count: 2, lastMs: 1 }],
  audit: { error: undefined, dropped: 0 },
});
const seenBy = (providers: readonly string[], more: Partial<StatusFacts> = {}) =>
  encodeStatus({ ...facts(), ...more }, { name: 'caller', providers, namesOnly: false });

it('a caller of one provider sees its volume, the outcome of each check, and no name of another', () => {
  const bytes = seenBy(['mine']);
  const { volumes, boundary } = fromBinary(GetStatusResponseSchema, bytes);
  expect(volumes.map(({ name }) => name)).toEqual(['mine']);
  expect(boundary?.findings).toMatchObject([
    { id: 'mount-tmpfs', outcome: 'pass', evidence: '', remedy: '' },
  ]);
  expect(boundary?.exceptions).toEqual(['capability']);
  expect(bytes.includes('theirs')).toBe(false);
});

it.each([[['*']], [['mine', 'theirs']]])('a caller of %j sees everything', (providers) => {
  const { volumes, boundary } = fromBinary(GetStatusResponseSchema, seenBy(providers));
  expect(volumes).toHaveLength(2);
  expect(boundary?.findings[0]?.evidence).toContain('theirs');
  expect(boundary?.exceptions).toEqual(facts().boundary?.exceptions);
});

it('a watch is shown to a caller that may see one of its providers, and to no other', () => {
  const watch = (...providers: string[]) => ({
    consumer: 'native',
    caller: 'supervisor',
    pid: 7,
    node: '',
    providers: () => providers,
    sinceMs: 1,
    servedRevision: 2n,
    servedLagMs: 0,
    acknowledgedRevision: 0n,
    acknowledgedOutcome: undefined,
    acknowledgedLagMs: 0,
    unacknowledgedMs: 15_000,
    rejections: 0,
  });
  const watches = [watch('theirs'), watch('mine', 'theirs'), watch()];
  const seen = (providers: readonly string[]) =>
    fromBinary(GetStatusResponseSchema, seenBy(providers, { watches })).watchers;
  expect([['mine'], ['theirs'], ['*'], ['other']].map((providers) => seen(providers).length)).toEqual([
    1, 2, 2, 0,
  ]);
  expect(seen(['mine'])[0]).toMatchObject({
    caller: 'supervisor',
    servedRevision: 2n,
    unacknowledgedMs: 15_000,
  });
});

it('a cause of not serving names no provider that the caller may not see, and is never left out', () => {
  const cause = (provider: string) => ({
    reason: 'key-missing',
    remedy: 'check the key',
    credential: { provider, key: 'TOKEN', reference: { namespace: NAMESPACE, name: provider, key: 'token' } },
  });
  const notServing = [{ reason: 'socket-lost', remedy: 'look' }, cause('mine'), cause('theirs')];
  const bytes = seenBy(['mine'], { notServing });
  const { serving, notServingBecause } = fromBinary(GetStatusResponseSchema, bytes);
  expect(serving).toBe(false);
  expect(notServingBecause).toMatchObject([
    { reason: 'socket-lost', provider: '' },
    { reason: 'key-missing', provider: 'mine', key: 'TOKEN', reference: { name: 'mine', key: 'token' } },
    { reason: 'required-credential-refused', provider: '' },
  ]);
  expect(bytes.includes('theirs')).toBe(false);
  expect(fromBinary(GetStatusResponseSchema, seenBy(['*'], { notServing })).notServingBecause).toHaveLength(
    3,
  );
});

it('refused peers are shown to a caller that may see everything, and to no other', () => {
  const seen = (providers: readonly string[]) =>
    fromBinary(GetStatusResponseSchema, seenBy(providers)).refusedPeers;
  expect(seen(['*'])).toMatchObject([{ uid: 4_242, reason: 'uid-not-listed', count: 2n }]);
  expect(seen(['mine'])).toEqual([]);
});
