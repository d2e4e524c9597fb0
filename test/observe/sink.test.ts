/** Trouble with the audit stream, with real files, pipes and processes: the service and its end do not depend on it. */
import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { CommandError } from '../../src/domain/errors.ts';
import { openAuditSink } from '../../src/observe/audit/sink.ts';
import { createLog } from '../../src/observe/log.ts';
import { MAIN, NODE } from '../support/checkout.ts';
import { CliProcess, cli, startServe, until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { ocsfFaults } from './ocsf.ts';

const log = createLog({ level: 'fatal' });
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'audit-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a file', () => {
  test('gets each record whole, after what it holds, and is for its owner only', async () => {
    const path = join(folder, 'audit');
    writeFileSync(path, '{"before":1}\n');
    {
      await using sink = openAuditSink(path, new PassThrough(), log);
      for (let n = 0; n < 5_000; n++) sink.write(`${JSON.stringify({ n, text: 'ü'.repeat(n % 100) })}\n`);
    }
    const lines = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toEqual({ before: 1 });
    expect(lines.slice(1).map(({ n }) => n)).toEqual(Array.from({ length: 5_000 }, (_, n) => n));
    const fresh = join(folder, 'fresh');
    await openAuditSink(fresh, new PassThrough(), log)[Symbol.asyncDispose]();
    expect(statSync(fresh).mode & 0o777).toBe(0o600);
  });

  test('that cannot be opened is told at once: nothing is served without audit', () => {
    expect(() => openAuditSink(join(folder, 'none', 'audit'), new PassThrough(), log)).toThrow(
      new CommandError(
        `audit.path: ${join(folder, 'none', 'audit')} cannot be opened: ENOENT (mount a folder that this user may write, or leave audit.path out for stdout)`,
        2,
      ),
    );
  });
});

/** `serve` with one credential, and a workspace for it. */
function arrange(config: object = {}): Workspace {
  const workspace = new Workspace();
  workspace.writeConfig({ ...config });
  workspace.writeBulkProvider('p', 's');
  workspace.secret('s').write({ TOKEN: newSecret() });
  return workspace;
}

/** Serves, rotates and ends as if nothing were the matter. */
async function expectService(
  workspace: Workspace,
  serve: { stop: () => Promise<{ code: number | null }> },
  rounds = 1,
): Promise<void> {
  using client = connect({ socket: workspace.socket });
  for (let round = 0; round < rounds; round++) {
    const secret = newSecret();
    workspace.secret('s').write({ TOKEN: secret });
    await until(
      async () =>
        (await client.getProviderEnvironment()).credentials.get('TOKEN')?.value.reveal().toString() ===
        secret,
    );
  }
  const begun = performance.now();
  expect((await serve.stop()).code).toBe(0);
  expect(performance.now() - begun).toBeLessThan(5_000);
}

describe('serve', () => {
  test('with a good file writes OCSF there and nothing on stdout', async () => {
    using workspace = arrange({ audit: { path: join(folder, 'audit') } });
    await using serve = await startServe(workspace.configFile, ['--relaxed']);
    await expectService(workspace, serve);
    const records = readFileSync(join(folder, 'audit'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const record of records) expect(ocsfFaults(record)).toEqual([]);
    const outcomes = records.map(({ unmapped, message }) => unmapped.outcome ?? message);
    expect(outcomes).toEqual(
      expect.arrayContaining(['loaded', 'served', 'rotated', 'resolver started', 'resolver stopped']),
    );
    expect(serve.stdout).toBe('');
  });

  test('with a full disk goes on, says so once, and ends in time', async () => {
    using workspace = arrange({ audit: { path: '/dev/full' } });
    await using serve = await startServe(workspace.configFile, ['--relaxed']);
    await expectService(workspace, serve, 3);
    const said = serve.lines('stderr').filter(({ msg }) => String(msg).includes('audit'));
    expect(said).toMatchObject([
      { level: 'error', code: 'ENOSPC', msg: 'the audit stream cannot be written; trying again' },
      { level: 'error', dropped: 0, msg: 'the last audit records could not be written' },
    ]);
  });

  test('with an audit file that cannot be opened does not start', async () => {
    using workspace = arrange({ audit: { path: join(folder, 'none', 'audit') } });
    const { code, stderr } = await cli(['serve', '--config', workspace.configFile, '--relaxed']);
    expect(code).toBe(2);
    expect(stderr).toContain(`secret-resolver: audit.path: ${folder}/none/audit cannot be opened: ENOENT (`);
  });

  /** Starts `serve` with streams of its own kind; what it logs goes to a file unless said otherwise. */
  async function startWith(workspace: Workspace, stdout: 'pipe' | number, stderr?: number) {
    const logFile = join(folder, 'log');
    const child = spawn(NODE, [MAIN, 'serve', '--config', workspace.configFile, '--relaxed'], {
      stdio: ['ignore', stdout, stderr ?? openSync(logFile, 'a')],
      env: { PATH: process.env.PATH ?? '' },
    });
    const ended = new Promise<{ code: number | null }>((resolve) =>
      child.once('exit', (code) => resolve({ code })),
    );
    using client = connect({ socket: workspace.socket });
    const answers = () =>
      client.getStatus().then(
        ({ serving }) => serving,
        () => false,
      );
    await until(answers, 15_000, () => 'serve did not come up');
    return {
      child,
      log: () => readFileSync(logFile, 'utf8'),
      stop: () => {
        child.kill('SIGTERM');
        return ended;
      },
      async [Symbol.asyncDispose]() {
        child.kill('SIGKILL');
        await ended;
      },
    };
  }

  test('whose reader is gone goes on and ends in time', async () => {
    using workspace = arrange();
    await using serve = await startWith(workspace, 'pipe');
    serve.child.stdout?.destroy();
    await expectService(workspace, serve, 3);
    expect(serve.log()).toContain('"code":"EPIPE","msg":"the audit stream cannot be written; trying again"');
  });

  test('whose reader does not read goes on and ends in time', async () => {
    using workspace = arrange();
    await using serve = await startWith(workspace, 'pipe');
    serve.child.stdout?.pause();
    // Far more than a pipe holds: each call is a record of some 900 bytes.
    using client = connect({ socket: workspace.socket });
    for (let call = 0; call < 900; call++) await client.getProviderEnvironment();
    await expectService(workspace, serve, 2);
    expect(serve.log()).toMatch(
      /"bytes":\d{5,},"dropped":0,"msg":"the last audit records could not be written"/,
    );
  });

  test.each(['stdout', 'log'])('with a full disk behind its %s goes on', async (which) => {
    using workspace = arrange();
    const full = openSync('/dev/full', 'w');
    await using serve = await (which === 'log'
      ? startWith(workspace, 'pipe', full)
      : startWith(workspace, full));
    serve.child.stdout?.resume();
    await expectService(workspace, serve, 2);
  });

  test('tells of a thousand refused connections in a few lines', async () => {
    using workspace = arrange({ callers: [{ name: 'nobody', uid: 4_000, providers: ['*'] }] });
    workspace.writeConfig({
      callers: [{ name: 'other', uid: process.getuid?.() ?? 0, gid: 4_000_000, providers: ['*'] }],
    });
    await using serve = await startServe(workspace.configFile, ['--relaxed']);
    await using flood = new CliProcess(['status', '--socket', workspace.socket]);
    expect((await flood.finished).code).toBe(3);
    for (let index = 0; index < 1_000; index++) {
      await new Promise<void>((resolve) => {
        const socket = dial(workspace.socket);
        socket
          .once('close', () => resolve())
          .on('error', () => {})
          .resume();
      });
    }
    await serve.stop();
    const refused = serve
      .lines('stdout')
      .filter(({ unmapped }) => (unmapped as { outcome?: string }).outcome === 'peer-refused');
    expect(refused.length).toBeGreaterThanOrEqual(2);
    expect(refused.length).toBeLessThan(20);
    const counted = refused.map(({ unmapped }) => (unmapped as { left_out?: number }).left_out ?? 1);
    expect(counted.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(1_000);
    for (const record of refused) expect(ocsfFaults(record)).toEqual([]);
  });
});
