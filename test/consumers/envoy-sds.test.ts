/** Envoy's secret discovery on the real socket, called by a raw client: one test for each rule. */
import { once } from 'node:events';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Limits } from '../../src/domain/limits.ts';
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
  type TypedSecret,
} from '../../src/gen/envoy/service/secret/v3/sds_pb.ts';
import { socketRefusal } from '../../src/socket/refusal.ts';
import { until } from '../support/cli.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { RawClient, type RawWatch } from '../support/raw-calls.ts';
import { newSecret, registerSecret } from '../support/secrets.ts';
import { TestServer } from '../support/test-server.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

const SERVICE = '/envoy.service.secret.v3.SecretDiscoveryService';
const TYPE_URL = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

let server: TestServer;
let client: RawClient;
let log: MemoryLog;

const source = (name: string, key: string) => ({
  source: { type: 'kubernetesSecret', namespace: NAMESPACE, name, key },
});

async function open(callers: readonly string[] = ['*'], limits: Partial<Limits> = {}): Promise<void> {
  const workspace = new Workspace();
  workspace.writeConfig({
    callers: [{ name: 'supervisor', uid: process.getuid?.() ?? 0, providers: callers }],
  });
  const provider = (name: string, credentials: Readonly<Record<string, object>>) =>
    workspace.writeProvider(`${name}.yaml`, { name, type: 'custom', endpoints: ENDPOINTS, credentials });
  provider('one', { ONE: source('one', 'token'), JSON: { ...source('one', 'json'), format: 'json' } });
  provider('two', { TWO: source('two', 'token') });
  for (const name of ['three', 'four']) workspace.writeBulkProvider(name, name);
  provider('needy', {
    NEEDED: { ...source('needy', 'needed'), required: true },
    WANTED: source('needy', 'wanted'),
  });
  provider('web', {
    CLIENT_CERT: { ...source('web', 'tls.crt'), format: 'pem' },
    CLIENT_KEY: { ...source('web', 'tls.key'), format: 'pem' },
  });
  log = new MemoryLog();
  server = await TestServer.open(workspace, limits, log.log);
  client = new RawClient(server.socket);
}

beforeEach(() => open());
afterEach(async () => {
  client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

async function reopen(...options: Parameters<typeof open>): Promise<void> {
  client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  await open(...options);
}

/** Another program's view of a stream: what it holds under each name, and the last response. */
interface Stream {
  readonly raw: RawWatch;
  readonly send: (names: readonly string[], more?: object) => void;
  /** Name → text of what is held; a pair as two texts. */
  readonly held: () => Record<string, string>;
  readonly last: () => {
    readonly nonce: string;
    readonly names: readonly string[];
    readonly version: string;
  };
}

const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

function shown({ value }: TypedSecret): [string, string] {
  const { type, name } = value ?? { type: { case: undefined }, name: '' };
  if (type.case === 'genericSecret') return [name, text(type.value.secret?.inlineBytes)];
  if (type.case !== 'tlsCertificate') throw new Error(`nothing under ${name}`);
  return [
    name,
    `${text(type.value.certificateChain?.inlineBytes)}|${text(type.value.privateKey?.inlineBytes)}`,
  ];
}

function sotw(): Stream {
  const raw = client.stream(`${SERVICE}/StreamSecrets`);
  const last = () => fromBinary(DiscoveryResponseSchema, raw.messages.at(-1) ?? Buffer.alloc(0));
  return {
    raw,
    send: (resourceNames, more: MessageInitShape<typeof DiscoveryRequestSchema> = {}) =>
      raw.send(
        toBinary(
          DiscoveryRequestSchema,
          create(DiscoveryRequestSchema, { typeUrl: TYPE_URL, resourceNames: [...resourceNames], ...more }),
        ),
      ),
    held: () => Object.fromEntries(last().resources.map(shown)),
    last: () => ({
      nonce: last().nonce,
      version: last().versionInfo,
      names: last().resources.map(({ value }) => value?.name ?? ''),
    }),
  };
}

function delta(): Stream {
  const raw = client.stream(`${SERVICE}/DeltaSecrets`);
  const responses: DeltaDiscoveryResponse[] = [];
  const all = () => {
    for (const bytes of raw.messages.slice(responses.length))
      responses.push(fromBinary(DeltaDiscoveryResponseSchema, bytes));
    return responses;
  };
  return {
    raw,
    send: (names, more: MessageInitShape<typeof DeltaDiscoveryRequestSchema> = {}) =>
      raw.send(
        toBinary(
          DeltaDiscoveryRequestSchema,
          create(DeltaDiscoveryRequestSchema, {
            typeUrl: TYPE_URL,
            resourceNamesSubscribe: [...names],
            ...more,
          }),
        ),
      ),
    held: () =>
      Object.fromEntries(
        all()
          .flatMap(({ resources }) => resources)
          .flatMap(({ resource }) => (resource === undefined ? [] : [shown(resource)])),
      ),
    last: () => {
      const { nonce = '', resources = [], systemVersionInfo: version = '' } = all().at(-1) ?? {};
      return { nonce, version, names: resources.map(({ name }) => name) };
    },
  };
}

const VARIANTS = [
  { variant: 'StreamSecrets', stream: sotw },
  { variant: 'DeltaSecrets', stream: delta },
];
const quiet = () => new Promise((done) => setTimeout(done, 50));

describe.each(VARIANTS)('$variant', ({ variant, stream }) => {
  const opened = async (names: readonly string[], more?: object): Promise<Stream> => {
    const made = stream();
    made.send(names, more);
    await until(() => made.raw.messages.length === 1);
    return made;
  };

  it('sends a value by each spelling of its name, its rotation, removal and return', async () => {
    const names = ['ONE', 'one/ONE', 'sds://ONE', 'sds://one/ONE'];
    const all = (value: string) => Object.fromEntries(names.map((name) => [name, value]));
    const [first, second, third] = [newSecret(), newSecret(), newSecret()];
    server.publish({ one: { token: first } });
    const made = await opened(names);
    expect(made.held()).toEqual(all(first));
    server.publish({ one: { token: second } });
    await until(() => made.held().ONE === second);
    expect(made.held()).toEqual(all(second));
    server.publish({});
    await until(() => made.held().ONE === '');
    expect(made.held()).toEqual(all(''));
    server.publish({ one: { token: third } });
    await until(() => made.held().ONE === third);
    expect(made.raw.messages).toHaveLength(4);
  });

  it('answers with an empty value, at once, for whatever is not served', async () => {
    await reopen(['one', 'three', 'needy', 'web']);
    const lines = registerSecret(`{"a":\n"${newSecret()}"}`);
    server.publish({
      one: { token: '', json: lines },
      two: { token: newSecret() },
      three: { SAME: newSecret() },
      four: { SAME: newSecret() },
      needy: { wanted: newSecret() },
    });
    const why: Record<string, string> = {
      ONE: 'empty',
      JSON: 'several-lines',
      TWO: 'unknown',
      'two/TWO': 'provider-not-allowed',
      'absent/TWO': 'provider-not-allowed',
      SAME: 'claimed-twice',
      NEEDED: 'key-missing',
      WANTED: 'provider-withheld',
      NOTHING: 'unknown',
      'one/TWO': 'unknown',
      'one/ONE/': 'unknown',
      '': 'unknown',
      '*': 'unknown',
    };
    const made = await opened(Object.keys(why), { node: { id: 'side\u202ecar' } });
    expect(made.held()).toEqual(Object.fromEntries(Object.keys(why).map((name) => [name, ''])));
    await until(() => server.audited('denied').length > 0);
    const [first] = server.audited('denied');
    expect(first?.unmapped).toMatchObject({
      reason: 'secret-not-served',
      name: 'ONE',
      why: 'empty',
      node: 'side\\u{202e}car',
    });
    const written = server.audited('denied').map(({ unmapped }) => unmapped);
    for (const { name, why: reason } of written.filter(({ name }) => name !== undefined))
      if (Object.hasOwn(why, String(name))) expect(reason).toBe(why[String(name)]);
    expect(server.audited('served')).toEqual([]);
  });

  it('withdraws what has expired', async () => {
    const header = Buffer.from('{"alg":"none"}').toString('base64url');
    const exp = Math.floor(Date.now() / 1000) + 60;
    const jwt = registerSecret(
      `${header}.${Buffer.from(JSON.stringify({ exp, jti: newSecret() })).toString('base64url')}.`,
    );
    server.publish({ one: { token: jwt } });
    const made = await opened(['ONE']);
    expect(made.held()).toEqual({ ONE: jwt });
    server.publish({ one: { token: jwt } }, Date.now() + 61_000);
    await until(() => made.held().ONE === '');
  });

  it('is silent about what concerns other names, and about what is equal', async () => {
    const one = newSecret();
    server.publish({ one: { token: one }, two: { token: newSecret() } });
    const made = await opened(['ONE']);
    server.publish({ one: { token: one }, two: { token: newSecret() } });
    await quiet();
    expect(made.raw.messages).toHaveLength(1);
  });

  it('is answered before the first snapshot, and sent the value when there is one', async () => {
    const made = await opened(['ONE']);
    expect(made.held()).toEqual({ ONE: '' });
    const one = newSecret();
    server.publish({ one: { token: one } });
    await until(() => made.held().ONE === one);
  });

  it.each([
    ['a drain', socketRefusal({ kind: 'draining' }), status.UNAVAILABLE],
    [
      'a broken boundary',
      socketRefusal({ kind: 'boundary-broken', findings: ['x'] }),
      status.FAILED_PRECONDITION,
    ],
  ])('withdraws everything before the stream ends on %s', async (_, refusal, code) => {
    server.publish({ one: { token: newSecret() }, two: { token: newSecret() } });
    const made = await opened(['ONE', 'two/TWO', 'NOTHING']);
    if (code === status.UNAVAILABLE) server.state.setDraining();
    else server.state.setBoundaryBroken(['x']);
    server.store.drop();
    await server.server.drain(refusal);
    expect(await made.raw.ended).toMatchObject({ code });
    expect(made.held()).toEqual({ ONE: '', 'two/TWO': '', NOTHING: '' });
  });

  it('withdraws everything before a reload closes the connection of a caller that is no longer listed', async () => {
    server.publish({ one: { token: newSecret() } });
    const made = await opened(['ONE']);
    server.config = { ...server.config, callers: [] };
    server.server.recheck();
    await made.raw.ended;
    expect(made.held()).toEqual({ ONE: '' });
    await until(() => server.server.connections === 0);
    await until(() => server.audited('peer-refused').length === 1);
  });

  it('withdraws everything before it refuses a request, and keeps no names', async () => {
    await reopen(['*'], { watchesPerUid: 3 });
    server.publish({ one: { token: newSecret() } });
    const made = await opened(['ONE', 'one/ONE']);
    made.send(['ONE', 'one/ONE', 'sds://ONE', 'sds://one/ONE'], { responseNonce: made.last().nonce });
    expect(await made.raw.ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(made.held()).toEqual({ ONE: '', 'one/ONE': '' });
    await until(() => server.server.watches.length === 0);
    expect((await opened(['ONE', 'a', 'b'])).held()).toHaveProperty('ONE');
  });

  it.each([
    ['another type', ['ONE'], { typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster' }],
    ['a name longer than any', ['x'.repeat(400)], {}],
  ])('refuses %s', async (_, names, more) => {
    server.publish({ one: { token: newSecret() } });
    const made = stream();
    made.send(names, more);
    expect(await made.raw.ended).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(made.raw.messages).toEqual([]);
  });

  it('takes a first request of 900 KB, and refuses one above 1 MiB', async () => {
    const one = newSecret();
    server.publish({ one: { token: one } });
    // Envoy's list of its extensions is a field that is not read.
    const sized = (bytes: number) => {
      const made = stream();
      // Field 15 of either message, and the names in field 3.
      const head = Buffer.from([0x7a, (bytes & 0x7f) | 0x80, ((bytes >> 7) & 0x7f) | 0x80, bytes >> 14]);
      const names = Buffer.from([0x1a, 3, ...Buffer.from('ONE')]);
      made.raw.send(Buffer.concat([names, head, Buffer.alloc(bytes)]));
      return made;
    };
    const made = sized(900_000);
    await until(() => made.held().ONE === one);
    expect(await sized(1_048_577).raw.ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });

  it('refuses a request of half a million names before it parses them', async () => {
    server.publish({ one: { token: newSecret() } });
    const made = stream();
    made.raw.send(Buffer.alloc(1_000_000, Buffer.from([0x1a, 0])));
    expect(await made.raw.ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    expect(made.raw.messages).toEqual([]);
  });

  it('notes ACK and NACK once each, with the node, and logs a NACK without its text', async () => {
    server.publish({ one: { token: newSecret() } });
    const made = await opened(['ONE'], { node: { id: `envoy-${'x'.repeat(500)}` } });
    const acknowledge = (more: object) =>
      made.send(variant === 'DeltaSecrets' ? [] : ['ONE'], { responseNonce: made.last().nonce, ...more });
    acknowledge({});
    acknowledge({});
    await until(() => server.audited('acknowledged').length === 1);
    server.publish({ one: { token: newSecret() } });
    await until(() => made.raw.messages.length === 2);
    acknowledge({ errorDetail: { code: 13 } });
    await until(() => server.audited('acknowledged').length === 2);
    await quiet();
    expect(made.raw.messages).toHaveLength(2);
    const node = `envoy-${'x'.repeat(122)}`;
    expect(server.audited('acknowledged')).toMatchObject([
      { status_id: 1, unmapped: { node } },
      { status_id: 2, unmapped: { node, revision: made.last().version } },
    ]);
    const credentials = [
      { provider: 'one', key: 'ONE', reference: `${NAMESPACE}/one/token`, required: false },
    ];
    expect(server.audited('served')).toMatchObject([
      { unmapped: { node, credentials } },
      { unmapped: { node, revision: made.last().version } },
    ]);
    // Each acknowledgement names the record of what it is about.
    const joined = (outcome: string) =>
      server
        .audited(outcome)
        .map(({ metadata, unmapped }) => [metadata.correlation_uid, unmapped.credentials]);
    expect(joined('acknowledged')).toEqual(joined('served'));
    expect(
      new Set(
        joined('served')
          .flat()
          .filter((each) => typeof each === 'string'),
      ).size,
    ).toBe(2);
    expect(server.server.watches).toMatchObject([
      { consumer: 'envoy-sds', node, acknowledgedOutcome: 'rejected', unacknowledgedMs: 0, rejections: 1 },
    ]);
    const lines = log.lines.filter(({ msg }) => String(msg).startsWith('a supervisor rejected'));
    expect(lines).toMatchObject([{ level: 40, caller: 'supervisor', node, names: ['ONE'], code: 13 }]);
  });

  it('serves certificate and key of one Secret as a pair, and takes it back as one', async () => {
    // Not a certificate: OpenSSL's form is all that is looked at, and 0x30 0x00 is an empty sequence.
    const pem = (label: string) => registerSecret(`-----BEGIN ${label}-----\nMAA=\n-----END ${label}-----`);
    const [certificate, key] = [pem('CERTIFICATE'), pem('PRIVATE KEY')];
    server.publish({ web: { 'tls.crt': certificate, 'tls.key': key } });
    const made = await opened(['CLIENT_CERT', 'web/CLIENT_CERT', 'CLIENT_KEY']);
    const pair = `${certificate}|${key}`;
    expect(made.held()).toEqual({ CLIENT_CERT: pair, 'web/CLIENT_CERT': pair, CLIENT_KEY: '' });
    server.publish({ web: { 'tls.crt': certificate } });
    await until(() => made.held().CLIENT_CERT === '|');
    server.publish({ web: { 'tls.crt': certificate, 'tls.key': key } });
    await until(() => made.held().CLIENT_CERT === pair);
    server.publish({});
    await until(() => made.held().CLIENT_CERT === '|');
  });

  it('has 1,000 rotations, each whole and none mixed, and ends with the last', async () => {
    const values = Array.from({ length: 1_000 }, () => newSecret());
    server.publish({ one: { token: values[0] ?? '' } });
    const made = await opened(['ONE', 'one/ONE']);
    for (const value of values.slice(1)) {
      const sent = once(made.raw.stream, 'data');
      server.publish({ one: { token: value } });
      await sent;
      expect(made.held()).toEqual({ ONE: value, 'one/ONE': value });
    }
    expect(made.raw.messages).toHaveLength(1_000);
  });
});

describe('names', () => {
  it('of StreamSecrets are replaced by each request but a stale one', async () => {
    const [one, two] = [newSecret(), newSecret()];
    server.publish({ one: { token: one }, two: { token: two } });
    const made = sotw();
    made.send(['ONE']);
    await until(() => made.raw.messages.length === 1);
    const { nonce } = made.last();
    made.send(['ONE', 'TWO'], { responseNonce: nonce });
    await until(() => made.raw.messages.length === 2);
    expect(made.held()).toEqual({ ONE: one, TWO: two });
    made.send(['NOTHING'], { responseNonce: nonce });
    await quiet();
    made.send(['TWO'], { responseNonce: made.last().nonce });
    await quiet();
    server.publish({ one: { token: newSecret() }, two: { token: two } });
    await quiet();
    expect(made.raw.messages).toHaveLength(2);
  });

  it('of DeltaSecrets are added, taken away, and sent again when they are asked for again', async () => {
    const [one, two] = [newSecret(), newSecret()];
    server.publish({ one: { token: one }, two: { token: two } });
    const made = delta();
    made.send(['ONE']);
    await until(() => made.raw.messages.length === 1);
    made.send(['TWO']);
    await until(() => made.raw.messages.length === 2);
    expect(made.last().names).toEqual(['TWO']);
    made.send(['ONE'], { initialResourceVersions: {} });
    await until(() => made.raw.messages.length === 3);
    expect(made.last().names).toEqual(['ONE']);
    made.send([], { resourceNamesUnsubscribe: ['ONE'] });
    await quiet();
    const next = newSecret();
    server.publish({ one: { token: newSecret() }, two: { token: next } });
    await until(() => made.raw.messages.length === 4);
    expect(made.last().names).toEqual(['TWO']);
    expect(made.held()).toEqual({ ONE: one, TWO: next });
  });

  it('that look like a token are not repeated in the audit', async () => {
    server.publish({});
    const token = newSecret();
    const made = sotw();
    made.send([token, `one/${token}`]);
    await until(() => made.raw.messages.length === 1);
    expect(JSON.stringify(server.records)).not.toContain(token);
  });
});
