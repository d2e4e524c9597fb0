/** The crate that a supervisor in Rust merges the resolver's credentials with: its own tests, and its example against `serve`. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { startServe, until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { CARGO_TARGET, cargo, TOOLCHAINS } from './toolchains.ts';

/** A first build downloads and compiles a hundred packages. In milliseconds. */
const BUILD_TIMEOUT_MS = 300_000;
const NONCE = 'nonce';

const rust = TOOLCHAINS.find(({ name }) => name === 'rust');
const missing = await rust?.missing();

// As the clients in interop.test.ts: CI has no cargo of its own.
describe.skipIf(missing !== undefined)('resolver-environment', () => {
  beforeAll(() => cargo('test', '--workspace'), BUILD_TIMEOUT_MS);

  const digest = (value: string) => createHash('sha256').update(`${NONCE}\0${value}`).digest('hex');
  const npm = `uuid-2:NPM_TOKEN=${digest('from-the-gateway')}`;

  /** The example beside a `serve`, and the lines that it prints from now on. */
  function supervisor(socket: string, keepForMs: number) {
    const child = execa(join(CARGO_TARGET, 'debug/examples/supervisor'), [socket, String(keepForMs)], {
      env: { INTEROP_NONCE: NONCE },
      reject: false,
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    return {
      child,
      lines: () => output.trimEnd().split('\n'),
      [Symbol.asyncDispose]: async () => {
        child.kill('SIGKILL');
        await child;
      },
    };
  }

  function provide(workspace: Workspace) {
    workspace.writeBulkProvider('gitlab', 'credentials');
    const secret = workspace.secret('credentials');
    const token = newSecret();
    secret.write({ GITLAB_TOKEN: token });
    return { secret, token, installed: `installed 7 gitlab:GITLAB_TOKEN=${digest(token)} ${npm}` };
  }

  it('replaces a provider of the gateway as a whole, follows a rotation, and acknowledges it', async () => {
    using workspace = new Workspace();
    const { secret, installed } = provide(workspace);
    await using _serve = await startServe(workspace.configFile);
    await using running = supervisor(workspace.socket, 60_000);
    await until(() => running.lines().includes(installed));
    const next = newSecret();
    secret.write({ GITLAB_TOKEN: next });
    await until(() => running.lines().length === 2);
    expect(running.lines()[1]).toBe(`installed 7 gitlab:GITLAB_TOKEN=${digest(next)} ${npm}`);
    using client = connect({ socket: workspace.socket });
    await until(async () => {
      const { watchers } = await client.getStatus();
      return watchers.some(
        ({ acknowledgedRevision, servedRevision }) => acknowledgedRevision === servedRevision,
      );
    });
  });

  it('keeps what it has while the resolver restarts', async () => {
    using workspace = new Workspace();
    const { secret, installed } = provide(workspace);
    const first = await startServe(workspace.configFile);
    await using running = supervisor(workspace.socket, 60_000);
    await until(() => running.lines().includes(installed));
    first.kill('SIGKILL');
    await first.finished;
    const next = newSecret();
    secret.write({ GITLAB_TOKEN: next });
    await using _second = await startServe(workspace.configFile);
    await until(() => running.lines().length === 2, 15_000);
    expect(running.lines()).toEqual([installed, `installed 7 gitlab:GITLAB_TOKEN=${digest(next)} ${npm}`]);
  });

  it('withdraws without a fall-back to the gateway: after a silence, and at once where it is refused', async () => {
    using workspace = new Workspace();
    const { installed } = provide(workspace);
    await using serve = await startServe(workspace.configFile);
    await using patient = supervisor(workspace.socket, 60_000);
    await until(() => patient.lines().includes(installed));
    workspace.writeConfig({ callers: [{ name: 'other', uid: 4242, providers: ['*'] }] });
    serve.kill('SIGHUP');
    await until(
      () => patient.lines().length === 3,
      15_000,
      () => patient.lines().join('\n'),
    );
    expect(patient.lines()[1]).toMatch(/^withdrawn: /);
    expect(patient.lines()[2]).toBe(`installed 7 ${npm}`);

    workspace.writeConfig({});
    serve.kill('SIGHUP');
    await until(
      () => patient.lines().length === 4,
      15_000,
      () => patient.lines().join('\n'),
    );
    expect(patient.lines()[3]).toBe(installed);
    await using hasty = supervisor(workspace.socket, 500);
    await until(() => hasty.lines().includes(installed));
    await serve.stop();
    await until(
      () => hasty.lines().length === 3,
      15_000,
      () => hasty.lines().join('\n'),
    );
    expect(hasty.lines()[2]).toBe(`installed 7 ${npm}`);
    expect(patient.lines()).toHaveLength(4);
  });

  it('does not start without a resolver', async () => {
    using workspace = new Workspace();
    const { exitCode, stdout, stderr } = await supervisor(workspace.socket, 60_000).child;
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toContain('no connection');
  });
});
