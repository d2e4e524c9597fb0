/** The real server in this process with us as a listed caller, who sees one of two providers. */
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { pino } from 'pino';
import type { Limits } from '../../src/domain/limits.ts';
import { openDescriptors } from '../../test/support/descriptors.ts';
import { type AuditRecord, TestServer } from '../../test/support/test-server.ts';
import { SANDBOX, Workspace } from '../../test/support/workspace.ts';
import { LoopClock } from './loop-clock.ts';
import { Planted } from './planted.ts';
import { must, Violation } from './target.ts';

export const SERVICE = '/secretresolver.v1.CredentialResolver';
/** Calls that give values to whom they are allowed. */
export const SERVING = [
  `${SERVICE}/GetProviderEnvironment`,
  `${SERVICE}/WatchProviderEnvironment`,
  '/openshell.v1.OpenShell/GetSandboxProviderEnvironment',
] as const;
export const OTHER = [
  `${SERVICE}/ListCredentials`,
  `${SERVICE}/GetStatus`,
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
] as const;

/**
 * No rate limits: they would hide the code behind them. Idle connections time out quickly, so that one that never closes
 * is noticed.
 */
const LIMITS: Partial<Limits> = {
  requestsPerSecond: 1e12,
  requestBurst: 1e12,
  requestsPerTurn: 1e12,
  inboundBytesPerSecond: 1e12,
  connectionsPerSecond: 1e12,
  connectionBurst: 1e12,
  connectionsPerUid: 4_096,
  callsPerUid: 4_096,
  firstCallTimeoutMs: 500,
  pingIntervalMs: 400,
  pingTimeoutMs: 1_000,
};
/** Milliseconds of the loop's clock that a good client waits for its answer, and that closed connections may take to be gone. */
export const PROMPT_MS = 3_000;
/**
 * Calls that a client cancels on one connection. At a thousand within half a minute nghttp2 takes it for an attack
 * ("rapid reset") and ends the connection, and a call that is on its way then has no answer.
 */
const MAX_CANCELLED = 500;
/** Descriptors that come and go by themselves. */
const SPARE_DESCRIPTORS = 64;

export interface Answer {
  readonly http: number | undefined;
  readonly code: number | undefined;
  readonly details: string;
  readonly body: Buffer;
}

export class LiveServer implements AsyncDisposable {
  readonly test: TestServer;
  /** Value of the provider that we may see, and of the one that we may not. */
  readonly open: Planted;
  readonly closed: Planted;
  /** Fuzz bytes that no log may repeat. */
  readonly sent = new Planted();
  readonly clock = new LoopClock();
  readonly #workspace: Workspace;
  readonly #good: CallingClient;
  #baseline: number | undefined;
  #lingering = 0;
  /** Inputs after which there was one more connection left. */
  #suspects: { readonly input: Buffer; readonly since: number }[] = [];
  /** What the log said since it was last looked at. */
  #logged = '';

  private constructor(workspace: Workspace, test: TestServer, open: Planted, closed: Planted) {
    this.#workspace = workspace;
    this.test = test;
    this.open = open;
    this.closed = closed;
    this.#good = this.client(test.socket);
  }

  client(socket: string): CallingClient {
    return new CallingClient(socket, this.clock);
  }

  static async start(): Promise<LiveServer> {
    const workspace = new Workspace();
    workspace.writeConfig({
      callers: [{ name: 'fuzzer', uid: process.getuid?.() ?? 0, providers: ['open'] }],
    });
    workspace.writeBulkProvider('open', 'open-secret');
    workspace.writeBulkProvider('closed', 'closed-secret');
    let server: LiveServer | undefined;
    const log = pino({ level: 'debug' }, { write: (line: string) => server?.hear(line) });
    const test = await TestServer.open(workspace, LIMITS, log);
    const [open, closed] = [new Planted(), new Planted()];
    test.publish({ 'open-secret': { OPEN: open.secret }, 'closed-secret': { CLOSED: closed.secret } });
    server = new LiveServer(workspace, test, open, closed);
    await server.stillServes();
    return server;
  }

  hear(line: string): void {
    this.#logged += line;
  }

  /** Neither log nor audit may hold a value, or a defect of the resolver. */
  saidNothingWrong(): void {
    const audit = JSON.stringify(this.test.records.splice(0) satisfies AuditRecord[]);
    const said = this.#logged + audit;
    this.#logged = '';
    for (const planted of [this.open, this.closed, this.sent]) planted.notIn(said, 'log or audit');
    must(!said.includes('a defect of the resolver'), 'a call failed for a defect of the resolver');
  }

  /** A good client on a connection of its own is answered in time. */
  async stillServes(): Promise<void> {
    let answer: Answer;
    let from: number;
    do {
      from = this.clock.now();
      answer = await this.#good.call(SERVING[0], [framed(Buffer.alloc(0))], {}, PROMPT_MS);
      // The server may have ended a connection whose client stood still with it. Then the next one counts.
    } while (answer.code === undefined && this.clock.pausedSince(from));
    must(answer.code === 0, 'a good client is not answered');
    must(answer.body.includes(this.open.secret), 'a good client is answered something else');
  }

  /** Notes whether connections that are closed are still there, and fails where one has been for too long. */
  noteClosed(input: Buffer): void {
    const now = this.clock.now();
    const left = Math.max(0, this.test.server.connections - 1);
    if (left > this.#lingering) this.#suspects.push({ input, since: now });
    this.#lingering = left;
    if (left === 0) this.#suspects = [];
    const young = this.#suspects.findIndex(({ since }) => since > now - PROMPT_MS);
    const overdue = young < 0 ? this.#suspects.length : young;
    if (left > this.#suspects.length - overdue)
      throw new Violation('a connection that was closed stays behind', this.#suspects[0]?.input);
  }

  /** In the end nothing is left of any connection but the good client's. */
  async letsGo(): Promise<void> {
    const { server } = this.test;
    const gone = () => server.connections <= 1 && server.watches.length === 0;
    if (!(await this.clock.until(gone, PROMPT_MS)))
      throw new Violation('a connection or a watch stays behind', this.#suspects[0]?.input);
  }

  async leavesNoDescriptors(): Promise<void> {
    const open = openDescriptors().length;
    this.#baseline ??= open;
    const most = this.#baseline + SPARE_DESCRIPTORS;
    must(await this.clock.until(() => openDescriptors().length <= most, PROMPT_MS), 'descriptors stay open');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#good[Symbol.dispose]();
    await this.test[Symbol.asyncDispose]();
    this.#workspace[Symbol.dispose]();
    this.clock[Symbol.dispose]();
  }
}

/** A gRPC message with its five bytes in front. */
export function framed(message: Uint8Array, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = compressed;
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

/** A client that connects again where it lost its connection, and can send what no library would. */
export class CallingClient implements Disposable {
  readonly #socket: string;
  readonly #clock: LoopClock;
  #session: ClientHttp2Session | undefined;
  #cancelled = 0;

  constructor(socket: string, clock: LoopClock) {
    this.#socket = socket;
    this.#clock = clock;
  }

  /** One call. Without an end by the server within `patienceMs` it is cancelled, and what came is returned. */
  async call(
    path: string,
    messages: readonly Buffer[],
    headers: OutgoingHttpHeaders,
    patienceMs: number,
  ): Promise<Answer> {
    const stream = this.#connected().request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    for (const message of messages) stream.write(message);
    stream.end();
    return answerOf(stream, (end) =>
      this.#clock.after(patienceMs, () => {
        this.#cancelled += 1;
        end();
      }),
    );
  }

  #connected(): ClientHttp2Session {
    if (this.#cancelled >= MAX_CANCELLED) this.#session?.destroy();
    if (this.#session === undefined || this.#session.closed || this.#session.destroyed) {
      this.#cancelled = 0;
      this.#session = connect('http://localhost', { createConnection: () => connectSocket(this.#socket) });
      this.#session.on('error', () => {});
    }
    return this.#session;
  }

  [Symbol.dispose](): void {
    this.#session?.destroy();
  }
}

async function answerOf(
  stream: ClientHttp2Stream,
  patience: (end: () => void) => () => void,
): Promise<Answer> {
  const body: Buffer[] = [];
  let http: number | undefined;
  let code: number | undefined;
  let details = '';
  const note = (headers: Readonly<Record<string, unknown>>) => {
    if (headers[':status'] !== undefined) http = Number(headers[':status']);
    if (headers['grpc-status'] === undefined) return;
    code = Number(headers['grpc-status']);
    details = decodeURIComponent(String(headers['grpc-message'] ?? ''));
  };
  stream.on('response', note);
  stream.on('trailers', note);
  stream.on('data', (bytes: Buffer) => body.push(bytes));
  stream.on('error', () => {});
  const stop = patience(() => stream.close(8));
  await new Promise((resolve) => stream.once('close', resolve));
  stop();
  return { http, code, details, body: Buffer.concat(body) };
}

export const SANDBOX_ID = SANDBOX.id;
