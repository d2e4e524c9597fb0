/** GetStatus shows a caller what concerns the providers that it may see, and nothing of the others. */
import { fromBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodeStatus } from '../../src/consumers/native/status.ts';
import { Watcher } from '../../src/consumers/native/watcher.ts';
import type { StatusFacts } from '../../src/consumers/status-facts.ts';
import { GetStatusResponseSchema } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import type { PeerConnection } from '../../src/socket/connections.ts';
import { socketRefusal } from '../../src/socket/refusal.ts';
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
  serving: true,
});
const seenBy = (providers: readonly string[]) =>
  encodeStatus(facts(), { name: 'caller', providers, namesOnly: false }, []);

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
  const connection = { caller: { name: 'supervisor' }, audited: { pid: 7 } } as unknown as PeerConnection;
  const watcher = (...providers: string[]) =>
    new Watcher({
      connection,
      providers: () => providers,
      stream: { write: () => {}, end: () => {} },
      view: () => ({ refusal: socketRefusal({ kind: 'not-ready' }) }),
      onServed: () => {},
    });
  const watchers = [watcher('theirs'), watcher('mine', 'theirs'), watcher()];
  const seen = (providers: readonly string[]) =>
    fromBinary(
      GetStatusResponseSchema,
      encodeStatus(facts(), { name: 'caller', providers, namesOnly: false }, watchers),
    ).watchers.length;
  expect([seen(['mine']), seen(['theirs']), seen(['*']), seen(['other'])]).toEqual([1, 2, 2, 0]);
});
