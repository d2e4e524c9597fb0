/** Any messages and metadata, as calls of every method of both sockets. */
import { randomBytes } from 'node:crypto';
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { pino } from 'pino';
import {
  DeleteCredentialRequestSchema,
  GetCapabilitiesRequestSchema,
  ResolveCredentialsRequestSchema,
  StoreCredentialRequestSchema,
  StoreCredentialResponseSchema,
} from '../../../src/gen/openshell/credentials/v1/credential_driver_pb.ts';
import { GetSandboxProviderEnvironmentRequestSchema } from '../../../src/gen/openshell/v1/openshell_pb.ts';
import {
  GetProviderEnvironmentRequestSchema,
  WatchProviderEnvironmentRequestSchema,
} from '../../../src/gen/secretresolver/v1/resolver_pb.ts';
import { Audit } from '../../../src/observe/audit/audit.ts';
import { Gateway } from '../../../test/support/gateway.ts';
import { NAMESPACE, SANDBOX, Workspace } from '../../../test/support/workspace.ts';
import { Bytes } from '../bytes.ts';
import {
  type Answer,
  type CallingClient,
  framed,
  LiveServer,
  OTHER,
  SANDBOX_ID,
  SERVING,
} from '../live-server.ts';
import { Planted, SECRET_WORD } from '../planted.ts';
import { must, type Target } from '../target.ts';

const DRIVER = '/openshell.credentials.v1.CredentialDriver';
const METHODS = [
  ...SERVING,
  ...OTHER,
  '/secretresolver.v1.CredentialResolver/Nothing',
  ...['GetCapabilities', 'StoreCredential', 'DeleteCredential', 'ResolveCredentials', 'ListCredentials'].map(
    (name) => `${DRIVER}/${name}`,
  ),
] as const;
const WATCHES = METHODS.filter((path) => /Watch|Reflection/.test(path));

/** OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNIMPLEMENTED, UNAVAILABLE. */
const CODES = [0, 3, 4, 5, 7, 8, 9, 12, 14];
/** Headers that a client may add, by the bits of one byte. */
const HEADERS = [
  { 'grpc-timeout': '1m' },
  { 'grpc-timeout': 'never' },
  { 'grpc-encoding': 'gzip' },
  { 'grpc-accept-encoding': 'gzip, deflate' },
  { 'x-any-bin': 'not base64 !' },
  { 'content-type': 'application/grpc+json' },
  { 'content-type': 'text/plain' },
  { 'grpc-encoding': 'none of ours' },
] as const;
/** The headers that gRPC itself rejects, with INTERNAL among other codes, before the call reaches our code. */
const BROKEN_TRANSPORT = 0b1000_0110;
/** Between two messages of a stream. */
const NEXT_MESSAGE = Buffer.from([0xfe, 0xff]);
/** The marker in an input for the handle of a stored reference, and the characters of a handle. */
const HANDLE_WORD = 'q0HANDLE';
/** Milliseconds to wait for a watch to answer: it does not end by itself. */
const WATCH_PATIENCE_MS = 8;
const PATIENCE_MS = 3_000;
/** Calls between two looks at the server as a whole. */
const LOOK_EVERY = 50;

const PROVIDER_ID = '0b9e2f6e-3f4e-4a7e-9d6a-3a9c1f1e2d3c';
const FIELDS = { workspace: 'team-a', providerName: 'gitlab', providerId: PROVIDER_ID, credentialKey: 'KEY' };
const encoded = <D extends DescMessage>(schema: D, init: MessageInitShape<D>) =>
  Buffer.from(toBinary(schema, create(schema, init)));
/** One input: method, headers, and messages. */
const call = (method: string, headers: number, ...messages: Buffer[]) =>
  Buffer.concat([
    Buffer.from([METHODS.findIndex((path) => path.endsWith(method)), headers, 0, 0]),
    ...messages.flatMap((message, index) => (index === 0 ? [message] : [NEXT_MESSAGE, message])),
  ]);

/** What a test may replace. */
export interface Subject {
  /** Looks at each answer first, and may give another. */
  readonly answer: (answer: Answer) => Answer;
}

export const requests: Target<Subject> = {
  name: 'requests',
  covers: ['src/socket/', 'src/observe/audit/', 'src/consumers/gateway-driver/'],
  maxBytes: 96 * 1024,
  maxCpuMs: 1_500,
  words: [
    ...[
      'open',
      'closed',
      'OPEN',
      SANDBOX_ID,
      'team-a',
      'gitlab',
      NAMESPACE,
      'token',
      'KEY',
      PROVIDER_ID,
      SECRET_WORD,
    ],
    ...[
      `k8s-secret://${NAMESPACE}/gitlab/token`,
      `k8s-secret://${NAMESPACE}/gitlab/absent`,
      'k8s-secret://',
      '../',
    ],
    ...[HANDLE_WORD, '__proto__', 'openshell.credentials.contract', 'secretresolver.v1.CredentialResolver'],
    ...[
      [0xfe, 0xff],
      [0x0a, 0x00],
      [0x12, 0x04],
      [0x08, 0x01],
      [0x10, 0x01],
      [0x18, 0x01],
      [0x0a, 0x80, 0x80],
    ].map(Buffer.from),
    ...[
      [0xff, 0xff, 0xff, 0xff, 0x0f],
      [0x0b, 0x0c],
      [0x0d, 1, 2, 3, 4],
      [0x09, 1, 2, 3, 4, 5, 6, 7, 8],
      [0x0f],
    ].map(Buffer.from),
  ],
  seeds: [
    ...METHODS.map((path) => call(path, 0, Buffer.alloc(0))),
    call('GetProviderEnvironment', 0, encoded(GetProviderEnvironmentRequestSchema, { providers: ['open'] })),
    call(
      'GetProviderEnvironment',
      0,
      encoded(GetProviderEnvironmentRequestSchema, { providers: ['closed'] }),
    ),
    call(
      'GetProviderEnvironment',
      0,
      encoded(GetProviderEnvironmentRequestSchema, { providers: [SECRET_WORD] }),
    ),
    call(
      'WatchProviderEnvironment',
      0,
      encoded(WatchProviderEnvironmentRequestSchema, { message: { case: 'subscribe', value: {} } }),
      encoded(WatchProviderEnvironmentRequestSchema, {
        message: { case: 'acknowledge', value: { revision: 7n, outcome: 1 } },
      }),
    ),
    call(
      'GetSandboxProviderEnvironment',
      0,
      encoded(GetSandboxProviderEnvironmentRequestSchema, {
        sandboxId: SANDBOX_ID,
        supportsStaticCredentialBindings: true,
      }),
    ),
    call(
      'GetCapabilities',
      0,
      encoded(GetCapabilitiesRequestSchema, {
        gateway: { protocolVersion: { major: 1 }, requiredCapabilities: ['openshell.credentials.contract'] },
      }),
    ),
    call(
      'StoreCredential',
      0,
      encoded(StoreCredentialRequestSchema, {
        ...FIELDS,
        value: Buffer.from(`k8s-secret://${NAMESPACE}/gitlab/token`),
      }),
    ),
    call(
      'StoreCredential',
      0,
      encoded(StoreCredentialRequestSchema, { ...FIELDS, value: Buffer.from(SECRET_WORD) }),
    ),
    call(
      'DeleteCredential',
      0,
      encoded(DeleteCredentialRequestSchema, { ...FIELDS, handle: { handle: 'x' } }),
    ),
    call('ResolveCredentials', 0, Buffer.from(HANDLE_WORD)),
    call('ResolveCredentials', 0, Buffer.from(`12${HANDLE_WORD}`)),
    call('ResolveCredentials', 0, Buffer.from(`1${HANDLE_WORD}`)),
    ...HEADERS.map((_, bit) => call('GetStatus', 1 << bit, Buffer.alloc(0))),
  ],

  async open({ answer: changed = (answer: Answer) => answer } = {}) {
    const live = await LiveServer.start();
    const gateway = await startGateway(live);
    const ours = live.client(live.test.socket);
    const drivers = live.client(gateway.socket);
    const handle = await storedHandle(drivers);
    let calls = 0;
    return {
      run: async (input) => {
        const bytes = new Bytes(input);
        const path = bytes.pick(METHODS);
        const chosen = bytes.number();
        const compressed = bytes.number() % 8 === 7 ? 1 : 0;
        const text = bytes
          .some()
          .toString('latin1')
          .replaceAll(/[^ -~]/g, '');
        const messages = messagesOf(live.sent.into(bytes.rest()), handle);
        const headers = Object.assign(
          { 'x-text': text.trim() },
          ...HEADERS.filter((_, bit) => chosen & (1 << bit)),
        );
        const client = path.startsWith(DRIVER) ? drivers : ours;
        const patience = WATCHES.includes(path) ? WATCH_PATIENCE_MS : PATIENCE_MS;
        const frames = messages.map((message) => framed(message, compressed));
        const from = live.clock.now();
        const answer = changed(await client.call(path, frames, headers, patience));
        const body = answer.body.toString('latin1');
        live.closed.notIn(body + answer.details, 'an answer to a caller who may not see it');
        live.open.notIn(answer.details, 'the details of an answer');
        if (!SERVING.some((serving) => serving === path))
          live.open.notIn(body, 'an answer of names and states');
        if (!path.endsWith('/ResolveCredentials'))
          gateway.value.notIn(body, 'an answer of names and handles');
        live.sent.notIn(answer.details, 'the details of an answer');
        const cancelled = answer.code === undefined && WATCHES.includes(path);
        // The server may have ended a connection whose client stood still with it.
        const standstill = answer.http === undefined && live.clock.pausedSince(from);
        must(
          cancelled || standstill || answer.http === 200 || answer.http === 415,
          'no answer, or none that a gRPC client reads',
        );
        if (answer.code !== undefined) {
          const transport = compressed === 1 || (chosen & BROKEN_TRANSPORT) !== 0 || messages.length !== 1;
          must(
            CODES.includes(answer.code) || transport,
            `an answer has the code ${answer.code}: ${answer.details}`,
          );
        }
        must(/^[ -~]{0,200}$/.test(answer.details), 'the details of an answer are long or odd');
        must(!/\n|\.[tj]s:|node_modules|\bat /.test(answer.details), 'the details of an answer hold a stack');
        live.saidNothingWrong();
        calls += 1;
        if (calls % LOOK_EVERY === 0) await live.stillServes();
      },
      settle: async () => {
        ours[Symbol.dispose]();
        await live.letsGo();
        await live.leavesNoDescriptors();
      },
      [Symbol.asyncDispose]: async () => {
        ours[Symbol.dispose]();
        drivers[Symbol.dispose]();
        await gateway[Symbol.asyncDispose]();
        await live[Symbol.asyncDispose]();
      },
    };
  },
};

/** The messages of an input. A marker is replaced by a handle, prefixed with its length as in protobuf. */
function messagesOf(bytes: Buffer, handle: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  let rest = bytes;
  for (let at = rest.indexOf(NEXT_MESSAGE); at >= 0 && messages.length < 8; at = rest.indexOf(NEXT_MESSAGE)) {
    messages.push(rest.subarray(0, at));
    rest = rest.subarray(at + NEXT_MESSAGE.byteLength);
  }
  messages.push(rest);
  return messages.map((message) => (message.includes(HANDLE_WORD) ? resolving(message, handle) : message));
}

/** A request for the value behind a handle; what stands around the word becomes the key that it is asked for under. */
function resolving(message: Buffer, handle: Buffer): Buffer {
  const at = message.indexOf(HANDLE_WORD);
  const key = message.subarray(at + HANDLE_WORD.length).toString('utf8') || FIELDS.credentialKey;
  const count = 1 + ((message[0] ?? 0) % 3);
  const credentials = Array.from({ length: at === 0 ? 1 : count }, (_, index) => ({
    ...FIELDS,
    requestId: String(at % 2 === 0 ? index : 0),
    credentialKey: key,
    handle: { handle: handle.toString() },
  }));
  return encoded(ResolveCredentialsRequestSchema, { credentials });
}

/** The credential driver beside the resolver, with a Secret of its own; what it says goes where the resolver's does. */
async function startGateway(live: LiveServer) {
  const workspace = new Workspace();
  const value = new Planted();
  const socket = `${workspace.root}/run/driver/driver.sock`;
  workspace.writeConfig({
    gatewayDriver: {
      socket: { path: socket, mode: '0666' },
      callers: [{ name: 'gateway', uid: process.getuid?.() ?? 0 }],
      handleKey: { name: 'seal', key: 'key' },
      workspaces: [{ name: 'team-a', secrets: [{ name: 'gitlab' }] }],
    },
  });
  workspace.secret('seal').write({ key: randomBytes(32) });
  workspace.secret('gitlab').write({ token: value.secret });
  const hear = (line: string) => {
    value.notIn(line, 'log or audit of the driver');
    live.hear(line);
  };
  const gateway = await Gateway.open(workspace.configFile, {
    audit: new Audit({ write: hear, [Symbol.asyncDispose]: async () => {} }, SANDBOX),
    log: pino({ level: 'debug' }, { write: hear }),
    limits: {
      requestsPerSecond: 1e12,
      requestBurst: 1e12,
      requestsPerTurn: 1e12,
      inboundBytesPerSecond: 1e12,
    },
  });
  return {
    socket,
    value,
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      workspace[Symbol.dispose]();
    },
  };
}

async function storedHandle(client: CallingClient): Promise<Buffer> {
  const value = Buffer.from(`k8s-secret://${NAMESPACE}/gitlab/token`);
  const message = encoded(StoreCredentialRequestSchema, { ...FIELDS, value });
  const { code, body } = await client.call(`${DRIVER}/StoreCredential`, [framed(message)], {}, PATIENCE_MS);
  must(code === 0, 'a reference cannot be stored');
  return Buffer.from(fromBinary(StoreCredentialResponseSchema, body.subarray(5)).handle?.handle ?? '');
}
