/** `serve` as a whole: the real process, real files, a real socket. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Client, credentials, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect, type ProviderEnvironment } from '../../src/client/index.ts';
import { NODE } from '../support/checkout.ts';
import { CliProcess, cli, startServe, until } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { RawClient, SERVICE } from '../support/raw-calls.ts';
import { ARTIFACTS, newSecret } from '../support/secrets.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

let workspace: Workspace;

beforeEach(() => {
  workspace = new Workspace();
});

afterEach(() => workspace[Symbol.dispose]());

/** Three Secrets with 20 keys each, one provider for each. */
function sixtyCredentials(): void {
  for (const [index, name] of ['first', 'second', 'third'].entries()) {
    workspace.writeBulkProvider(name, name);
    workspace
      .secret(name)
      .write(
        Object.fromEntries(Array.from({ length: 20 }, (_, key) => [`TOKEN_${index}_${key}`, newSecret()])),
      );
  }
}

const handles = (environment: ProviderEnvironment) =>
  Object.fromEntries([...environment.credentials.values()].map(({ key, handle }) => [key, handle]));

describe('serve', () => {
  it('with 3 Secrets and 60 credentials is SERVING, and after kill -9 serves again under the same handles', async () => {
    sixtyCredentials();
    using client = connect({ socket: workspace.socket });
    let serve = await startServe(workspace.configFile);
    const first = await client.getProviderEnvironment();
    expect(first.credentials.size).toBe(60);
    expect((await client.getStatus()).serving).toBe(true);
    serve.kill('SIGKILL');
    await serve.finished;
    expect(existsSync(workspace.socket)).toBe(true);

    serve = await startServe(workspace.configFile);
    try {
      using again = connect({ socket: workspace.socket });
      const second = await again.getProviderEnvironment();
      expect(handles(second)).toEqual(handles(first));
      for (const [key, { value }] of second.credentials)
        expect(value.equals(first.credentials.get(key)?.value ?? value)).toBe(true);
      // The revision is keyed with a key of the process: it says nothing, not even across a restart.
      expect(second.revision).not.toBe(first.revision);
    } finally {
      await serve[Symbol.asyncDispose]();
    }
  });

  it('starts no thread after the start: with the PIDs of the pod used up, libuv would abort the process', async () => {
    sixtyCredentials();
    await using serve = await startServe(workspace.configFile);
    const threads = () => readdirSync(`/proc/${serve.pid}/task`).length;
    const atStart = threads();
    const client = new Client(`unix:${workspace.socket}`, credentials.createInsecure(), {
      // gzip: zlib works in the thread pool.
      'grpc.default_compression_algorithm': 2,
    });
    const whole = (bytes: Buffer) => bytes;
    const method = '/secretresolver.v1.CredentialResolver/GetStatus';
    await new Promise((done) => client.makeUnaryRequest(method, whole, whole, Buffer.alloc(0), done));
    client.close();
    expect(threads()).toBe(atStart);
  });

  it('ends within 5 s of SIGTERM with exit 0, streams with UNAVAILABLE, and takes its socket with it', async () => {
    sixtyCredentials();
    await using serve = await startServe(workspace.configFile);
    using client = connect({ socket: workspace.socket });
    const disconnects: string[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const environment of client.watchProviderEnvironment({
        signal: stop.signal,
        onDisconnect: (error) => {
          disconnects.push(`${error.code}: ${error.message}`);
          stop.abort();
        },
      })) {
        expect(environment.credentials.size).toBe(60);
        serve.kill('SIGTERM');
      }
    })();
    const began = performance.now();
    const { code } = await serve.finished;
    expect(code).toBe(0);
    expect(performance.now() - began).toBeLessThan(5_000);
    await watching;
    expect(disconnects).toEqual(['unavailable: shutting down; try again']);
    expect(existsSync(workspace.socket)).toBe(false);
    expect(serve.lines('stdout').at(-1)).toMatchObject({ class_uid: 6002, activity_id: 4 });
  });

  it('takes a new configuration at SIGHUP, and keeps the old one where the new one is wrong', async () => {
    sixtyCredentials();
    await using serve = await startServe(workspace.configFile);
    using client = connect({ socket: workspace.socket });
    expect((await client.getProviderEnvironment()).credentials.size).toBe(60);

    workspace.writeProvider('third.yaml', 'provider: {name: third, typo: x}');
    serve.kill('SIGHUP');
    await until(() => serve.stdout.includes('config-refused'));
    expect(serve.stderr).toContain('the new configuration is wrong; the one before stays in force');
    expect((await client.getProviderEnvironment()).credentials.size).toBe(60);

    workspace.writeProvider('third.yaml', 'provider: {name: third, type: custom, credentials: {}}');
    serve.kill('SIGHUP');
    await until(async () => (await client.getProviderEnvironment()).credentials.size === 40);
    expect(serve.stdout).toContain('config-reloaded');
  });

  it('gives an open watch of everything the providers that a reload adds', async () => {
    sixtyCredentials();
    workspace.writeProvider('third.yaml', 'provider: {name: third, type: custom, credentials: {}}');
    await using serve = await startServe(workspace.configFile);
    using client = connect({ socket: workspace.socket });
    const sizes: number[] = [];
    for await (const { credentials } of client.watchProviderEnvironment()) {
      sizes.push(credentials.size);
      if (credentials.size === 60) break;
      workspace.writeBulkProvider('third', 'third');
      serve.kill('SIGHUP');
    }
    expect(sizes).toEqual([40, 60]);
  });

  it('keeps the agent and the exceptions of its start at SIGHUP, and lists neither as a caller', async () => {
    workspace.writeConfig({ agent: { uid: 4_242 } });
    await using serve = await startServe(workspace.configFile);
    workspace.writeConfig({ agent: { uid: 4_243 }, boundary: { warn: ['self-seccomp'] } });
    serve.kill('SIGHUP');
    await until(() => serve.stdout.includes('config-reloaded'));
    expect(serve.lines('stderr').find(({ fields }) => fields !== undefined)).toMatchObject({
      fields: ['agent', 'boundary'],
    });
    const callers = [{ name: 'the-agent', uid: 4_242, providers: ['*'] }];
    workspace.writeConfig({ agent: { uid: 4_243 }, callers });
    serve.kill('SIGHUP');
    await until(() => serve.stdout.includes('config-refused'));
    expect(serve.stderr).toContain('is 4242 until the resolver is started again');
  });

  it('closes the connections of a caller that a reload no longer lists', async () => {
    sixtyCredentials();
    await using serve = await startServe(workspace.configFile);
    using client = connect({ socket: workspace.socket });
    expect((await client.getProviderEnvironment()).credentials.size).toBe(60);
    workspace.writeConfig({ callers: [{ name: 'other', uid: 4_242, providers: ['*'] }] });
    serve.kill('SIGHUP');
    await until(() => serve.stdout.includes('config-reloaded'));
    // This user is the resolver's own now: names, and no values.
    await expect(client.getProviderEnvironment()).rejects.toMatchObject({ code: 'permission-denied' });
  });

  it('ends with exit 1 and a sentence where its socket cannot stand', async () => {
    await using first = await startServe(workspace.configFile);
    const second = await cli(['serve', '--relaxed', '--config', workspace.configFile]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('another process answers on it');
    expect(first.child.exitCode).toBe(null);
  });

  it('serves health on TCP, and no gRPC', async () => {
    sixtyCredentials();
    const port = await freePort();
    workspace.writeConfig({ health: { listen: `127.0.0.1:${port}` } });
    await using _serve = await startServe(workspace.configFile);
    const get = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status;
    expect(await get('/livez')).toBe(200);
    expect(await get('/readyz')).toBe(200);
    expect(await get('/metrics')).toBe(404);
    using client = new RawClient(port);
    for (const path of ['/grpc.health.v1.Health/Check', `${SERVICE}/GetProviderEnvironment`])
      expect((await client.call(path)).code).toBe(status.UNAVAILABLE);
  });

  it('is alive and not ready while a required credential is missing', async () => {
    const port = await freePort();
    workspace.writeConfig({ health: { listen: `127.0.0.1:${port}` } });
    workspace.writeProvider('one.yaml', {
      name: 'one',
      type: 'custom',
      endpoints: ENDPOINTS,
      credentials: {
        TOKEN: {
          source: { type: 'kubernetesSecret', namespace: NAMESPACE, name: 'absent', key: 'token' },
          required: true,
        },
      },
    });
    await using _serve = await startServe(workspace.configFile);
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(503);
  });
});

/** Whether a crash in the current folder writes a core there: a pipe or an absolute pattern sends it elsewhere. */
function coresComeHere(): boolean {
  const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
  return !pattern.startsWith('|') && !pattern.includes('/');
}

describe('a crash', () => {
  it('leaves no core file', async () => {
    const folder = mkdtempSync(join(ARTIFACTS, 'cores-'));
    const cores = () => readdirSync(folder).filter((name) => name.startsWith('core'));
    const crash = async (child: ChildProcess) => {
      // Raising a limit that the process lowered itself takes CAP_SYS_RESOURCE. Where the test has it, no core may
      // come even then; where it has not, the limit alone has held already.
      spawnSync('prlimit', ['--pid', String(child.pid), '--core=unlimited:unlimited']);
      const ended = new Promise((done) => child.once('exit', (code, signal) => done(signal ?? code)));
      child.kill('SIGSEGV');
      expect(await ended).toBe('SIGSEGV');
    };
    // The control: a process that keeps its defaults does leave one, under the same limit and in the same folder.
    const control = spawn(NODE, ['-e', 'setInterval(() => {}, 1000); console.log(1)'], { cwd: folder });
    await new Promise((done) => control.stdout.once('data', done));
    await crash(control);
    if (process.getuid?.() === 0 && coresComeHere()) expect(cores()).toHaveLength(1);
    for (const name of cores()) rmSync(join(folder, name));

    sixtyCredentials();
    await using serve = await startServe(workspace.configFile, [], { cwd: folder });
    using client = connect({ socket: workspace.socket });
    await client.getProviderEnvironment();
    await crash(serve.child);
    expect(cores()).toEqual([]);
  });
});

it('a process that never came up is reported, not waited for', async () => {
  await using serve = new CliProcess(['serve', '--config', join(workspace.root, 'nowhere.yaml')]);
  const { code, stderr } = await serve.finished;
  expect(code).toBe(2);
  expect(stderr).toContain('cannot be read: ENOENT');
});
