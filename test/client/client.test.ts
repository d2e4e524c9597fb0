/** The client against the real `serve`, and against servers that answer wrongly. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  connect,
  type ProviderEnvironment,
  type ResolverClient,
  ResolverError,
  type WatchedEnvironment,
} from '../../src/client/index.ts';
import { AcknowledgeOutcome } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { type CliProcess, startServe, until } from '../support/cli.ts';
import { rawMethod } from '../support/fake-resolver.ts';
import { newSecret } from '../support/secrets.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const textOf = (environment: ProviderEnvironment, key = 'TOKEN') =>
  environment.credentials.get(key)?.value.reveal().toString();

describe('with a resolver', () => {
  let workspace: Workspace;
  let serve: CliProcess;
  let secret: string;
  /** One connection for all questions: a new one for each would soon be more than a UID may open in a second. */
  let observer: ResolverClient;
  beforeEach(async () => {
    workspace = new Workspace();
    workspace.writeBulkProvider('gitlab', 's');
    secret = newSecret();
    workspace.secret('s').write({ TOKEN: secret });
    serve = await start();
    observer = connect({ socket: workspace.socket });
  });
  afterEach(async () => {
    observer[Symbol.dispose]();
    await serve[Symbol.asyncDispose]();
    workspace[Symbol.dispose]();
  });
  const start = () => startServe(workspace.configFile, ['--relaxed']);
  const rotate = (token = newSecret()) => {
    workspace.secret('s').write({ TOKEN: token });
    return token;
  };
  const status_ = () => observer.getStatus();

  test('a snapshot has values, destinations and handles', async () => {
    using client = connect({ socket: workspace.socket });
    const environment = await client.getProviderEnvironment();
    expect(textOf(environment)).toBe(secret);
    expect(environment.revision).not.toBe(0n);
    expect(environment.sandbox).toEqual({ id: 'sandbox-0001', name: 'nvbugs', namespace: NAMESPACE });
    expect(environment.credentials.get('TOKEN')).toMatchObject({
      key: 'TOKEN',
      provider: 'gitlab',
      identity: 'gitlab:TOKEN',
      handle: expect.stringMatching(/^[0-9a-f]{64}$/),
      endpoints: [{ host: 'gitlab.example.com', port: 443, path: '' }],
      expiresAtMs: undefined,
    });
    const { credentials } = await client.listCredentials();
    expect(credentials.map(({ key, provider }) => [provider, key])).toEqual([['gitlab', 'TOKEN']]);
    expect((await client.getStatus()).serving).toBe(true);
  });

  test('a watch sees each rotation, and a removal', async () => {
    using client = connect({ socket: workspace.socket });
    const rotated = newSecret();
    const seen: (string | undefined)[] = [];
    const next = [() => rotate(rotated), () => workspace.secret('s').write({})];
    for await (const environment of client.watchProviderEnvironment({ providers: ['gitlab'] })) {
      seen.push(textOf(environment));
      const step = next.shift();
      if (step === undefined) break;
      step();
    }
    expect(seen).toEqual([secret, rotated, undefined]);
  });

  test('going on acknowledges, reject() rejects, and the resolver shows it', async () => {
    using client = connect({ socket: workspace.socket });
    const watch = client.watchProviderEnvironment();
    const first = (await watch.next()).value as WatchedEnvironment;
    expect((await status_()).watchers).toMatchObject([
      { caller: 'supervisor', pid: process.pid, servedRevision: first.revision, acknowledgedRevision: 0n },
    ]);
    const second = watch.next();
    await until(async () => (await status_()).watchers[0]?.acknowledgedRevision === first.revision);
    rotate();
    const rejected = (await second).value as WatchedEnvironment;
    rejected.reject();
    const third = watch.next();
    await until(async () => (await status_()).watchers[0]?.acknowledgedRevision === rejected.revision);
    const [watcher] = (await status_()).watchers;
    expect(watcher?.acknowledgedOutcome).toBe(AcknowledgeOutcome.REJECTED);
    expect(watcher?.acknowledgedLagMs).toBeGreaterThan(0);
    rotate();
    await third;
    await watch.return();
    await until(async () => (await status_()).watchers.length === 0);
  });

  test('it comes back at once when the resolver that was killed is started again, however long its waits have grown', async () => {
    using client = connect({ socket: workspace.socket });
    const losses: ResolverError[] = [];
    const watch = client.watchProviderEnvironment({ onDisconnect: (error) => losses.push(error) });
    const before = (await watch.next()).value as WatchedEnvironment;
    const again = watch.next();
    serve.kill('SIGKILL');
    await serve.finished;
    await until(() => losses.length > 0);
    expect(losses[0]).toBeInstanceOf(ResolverError);
    expect(losses[0]).toMatchObject({ code: 'unavailable', retryable: true });
    const rotated = rotate();
    // Long enough for the waits to have grown to their longest.
    await sleep(1_500);
    serve = await start();
    const up = performance.now();
    const after = (await again).value as WatchedEnvironment;
    expect(performance.now() - up).toBeLessThan(300);
    expect(textOf(after)).toBe(rotated);
    // Placeholders that the agent holds go on to resolve; revisions of two processes say nothing about each other.
    expect(after.credentials.get('TOKEN')?.handle).toBe(before.credentials.get('TOKEN')?.handle);
    expect(after.revision).not.toBe(before.revision);
    await watch.return();
  });

  test('a slow consumer is given the newest snapshot only', async () => {
    using client = connect({ socket: workspace.socket });
    const controller = new AbortController();
    const watch = client.watchProviderEnvironment({ signal: controller.signal });
    await watch.next();
    const revisions = new Set<bigint>();
    let last = '';
    for (let round = 0; round < 10; round++) {
      const previous = (await status_()).watchers[0]?.servedRevision ?? 0n;
      last = rotate();
      await until(async () => (await status_()).watchers[0]?.servedRevision !== previous);
      revisions.add((await status_()).watchers[0]?.servedRevision ?? 0n);
    }
    expect(revisions.size).toBe(10);
    await sleep(50);
    const next = (await watch.next()).value as WatchedEnvironment;
    expect(textOf(next)).toBe(last);
    const none = await Promise.race([watch.next(), sleep(300, 'nothing more')]);
    expect(none).toBe('nothing more');
    controller.abort();
  });

  test('an unknown provider ends a call and a watch for good, in the same words', async () => {
    using client = connect({ socket: workspace.socket });
    const expected = {
      name: 'ResolverError',
      code: 'permission-denied',
      message: 'no such provider for this caller',
      retryable: false,
    };
    await expect(client.getProviderEnvironment({ providers: ['none'] })).rejects.toMatchObject(expected);
    const watch = client.watchProviderEnvironment({
      providers: ['none'],
      onDisconnect: () => expect.unreachable(),
    });
    await expect(watch.next()).rejects.toMatchObject(expected);
    expect((await watch.next()).done).toBe(true);
  });

  test('a required credential that is refused ends calls, and a watch waits for it to heal', async () => {
    workspace.writeProvider('required.yaml', {
      name: 'required',
      type: 'custom',
      endpoints: ENDPOINTS,
      credentials: {
        NEEDED: { source: { type: 'kubernetesSecret', name: 's', key: 'needed' }, required: true },
      },
    });
    serve.kill('SIGHUP');
    using client = connect({ socket: workspace.socket });
    await until(() =>
      client.getProviderEnvironment({ providers: ['required'] }).then(
        () => false,
        ({ code }) => code === 'failed-precondition',
      ),
    );
    const watch = client.watchProviderEnvironment({ providers: ['required'] });
    // What the watch held is withdrawn before its stream ends.
    const withheld = (await watch.next()).value as WatchedEnvironment;
    expect([withheld.credentials.size, withheld.refusals[0]?.key]).toEqual([0, 'NEEDED']);
    const needed = newSecret();
    workspace.secret('s').write({ TOKEN: secret, needed });
    let healed = withheld;
    while (healed.credentials.size === 0) healed = (await watch.next()).value as WatchedEnvironment;
    expect(textOf(healed, 'NEEDED')).toBe(needed);
    await watch.return();
  });

  test('an abort ends the iteration without an error, wherever it is', async () => {
    using client = connect({ socket: workspace.socket });
    const before = new AbortController();
    before.abort();
    expect(await all(client.watchProviderEnvironment({ signal: before.signal }))).toEqual([]);

    const waiting = new AbortController();
    setTimeout(() => waiting.abort(), 300);
    expect(await all(client.watchProviderEnvironment({ signal: waiting.signal }))).toHaveLength(1);

    // While the consumer is busy and the next snapshot has already arrived: it is not yielded.
    const busy = new AbortController();
    let count = 0;
    for await (const environment of client.watchProviderEnvironment({ signal: busy.signal })) {
      count += 1;
      rotate();
      await until(async () =>
        (await status_()).watchers.some(({ servedRevision }) => servedRevision !== environment.revision),
      );
      await sleep(50);
      busy.abort();
    }
    expect(count).toBe(1);
    await until(async () => (await status_()).watchers.length === 0);
  });

  test.each([
    ['break', 'break;'],
    ['abort', 'controller.abort();'],
    ['throw', 'throw new Error("enough");'],
    [
      'abort while the resolver is away',
      'process.kill(Number(process.argv[2]), "SIGKILL"); setTimeout(() => controller.abort(), 700);',
    ],
  ])('a program that ends its watch by %s can exit', async (_name, statement) => {
    const program = `
      const { connect } = await import(${JSON.stringify(pathToFileURL(join(CHECKOUT, 'src/client/index.ts')).href)});
      const controller = new AbortController();
      using client = connect({ socket: process.argv[1] });
      await client.getStatus();
      try {
        for await (const environment of client.watchProviderEnvironment({ signal: controller.signal })) { ${statement} }
      } catch (error) { if (error.message !== 'enough') throw error; }
      console.log('done', process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length);`;
    const child = spawn(NODE, ['--input-type=module', '-e', program, workspace.socket, String(serve.pid)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const out: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
    const timer = setTimeout(() => child.kill('SIGKILL'), 8_000);
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    expect(code).toBe(0);
    expect(Buffer.concat(out).toString()).toMatch(/^done /);
  });
});

describe('without one', () => {
  let folder: string;
  let socket: string;
  let server: Server | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'client-'));
    socket = join(folder, 'x.sock');
  });
  afterEach(() => {
    server?.forceShutdown();
    server = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  /** A server whose every call ends with this status, or answers with these bytes. */
  async function fake(answer: { code: status; details: string } | Buffer): Promise<void> {
    const unary: handleUnaryCall<unknown, Buffer> = (_call, done) => {
      if (Buffer.isBuffer(answer)) done(null, answer);
      else done(answer);
    };
    server = new Server();
    server.addService(
      {
        GetProviderEnvironment: rawMethod('GetProviderEnvironment', false),
        GetStatus: rawMethod('GetStatus', false),
        WatchProviderEnvironment: rawMethod('WatchProviderEnvironment', true),
      },
      {
        GetProviderEnvironment: unary,
        GetStatus: unary,
        WatchProviderEnvironment: (call: {
          write: (bytes: Buffer) => void;
          emit: (...args: unknown[]) => void;
        }) => (Buffer.isBuffer(answer) ? call.write(answer) : call.emit('error', answer)),
      },
    );
    await new Promise<void>((resolve, reject) =>
      server?.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      ),
    );
  }

  test('nobody on the socket is unavailable, and soon', async () => {
    using client = connect({ socket });
    const begun = performance.now();
    await expect(client.getStatus()).rejects.toMatchObject({
      name: 'ResolverError',
      code: 'unavailable',
      retryable: true,
    });
    expect(performance.now() - begun).toBeLessThan(3_000);
  });

  test.each([
    ['PERMISSION_DENIED', 'permission-denied', false],
    ['UNAUTHENTICATED', 'permission-denied', false],
    ['FAILED_PRECONDITION', 'failed-precondition', true],
    ['UNAVAILABLE', 'unavailable', true],
    ['CANCELLED', 'unavailable', true],
    ['DEADLINE_EXCEEDED', 'unavailable', true],
    ['RESOURCE_EXHAUSTED', 'resource-exhausted', true],
    ['INVALID_ARGUMENT', 'invalid-argument', false],
    ['UNIMPLEMENTED', 'unimplemented', false],
    ['INTERNAL', 'internal', true],
    ['UNKNOWN', 'internal', true],
    ['NOT_FOUND', 'internal', true],
  ] as const)('%s is %s', async (name, code, retryable) => {
    await fake({ code: status[name], details: 'a fixed sentence' });
    using client = connect({ socket });
    await expect(client.getProviderEnvironment()).rejects.toMatchObject({
      code,
      retryable,
      message: 'a fixed sentence',
    });
    const controller = new AbortController();
    const losses: string[] = [];
    const watch = client.watchProviderEnvironment({
      signal: controller.signal,
      onDisconnect: (error) => {
        losses.push(error.code);
        controller.abort();
      },
    });
    if (retryable) expect(await watch.next()).toEqual({ done: true, value: undefined });
    else await expect(watch.next()).rejects.toMatchObject({ code });
    expect(losses).toEqual(retryable ? [code] : []);
  });

  test('an answer that is none is an error, and never quoted or the end of the process', async () => {
    const secret = newSecret();
    for (const garbage of [
      Buffer.from(`\xff\xff${secret}`, 'latin1'),
      Buffer.from(`\x0a\x7f${secret}`, 'latin1'),
    ]) {
      await fake(garbage);
      using client = connect({ socket });
      const controller = new AbortController();
      const errors: ResolverError[] = [];
      for (const call of [client.getProviderEnvironment(), client.getStatus()])
        await call.catch((error: ResolverError) => errors.push(error));
      const watch = client.watchProviderEnvironment({
        signal: controller.signal,
        onDisconnect: (error) => {
          errors.push(error);
          controller.abort();
        },
      });
      await watch.next();
      expect(errors.length).toBe(3);
      for (const error of errors) {
        expect(error).toMatchObject({
          name: 'ResolverError',
          code: 'internal',
          message: 'the resolver sent a malformed response',
        });
        expect(error.stack).not.toContain(secret);
      }
      server?.forceShutdown();
    }
  });

  test('a server that never answers is given up in time', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(socket, resolve));
    using client = connect({ socket, timeoutMs: 300 });
    await expect(client.getStatus()).rejects.toMatchObject({ code: 'unavailable' });
    silent.close();
  });
});
