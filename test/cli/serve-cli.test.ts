/** `serve` and `watch` over time: rotations, reloads, crashes, signals. */
import { describe, expect, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { CliProcess, cli, startServe, until } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;

/** Lines of `watch` without their times and revisions. */
function plain(watch: CliProcess): string[] {
  return watch.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(STAMP, '').replace(/revision \d+/, 'revision N'));
}

describe('watch', () => {
  test('follows a rotation, a removal and a restart after kill -9, by name', async () => {
    using workspace = new Workspace();
    workspace.writeBulkProvider('gitlab', 's');
    const volume = workspace.secret('s');
    const kept = newSecret();
    volume.write({ A: newSecret(), B: kept });
    let serve = await startServe(workspace.configFile);
    await using watch = new CliProcess(['watch', '--socket', workspace.socket, '--provider', 'gitlab']);
    const expected = ['revision N: 2 served, 0 refused', '  loaded gitlab:A', '  loaded gitlab:B'];
    const step = async (...lines: string[]) => {
      expected.push(...lines);
      await until(
        () => plain(watch).length >= expected.length,
        5_000,
        () => plain(watch).join('\n'),
      );
      expect(plain(watch)).toEqual(expected);
    };
    await step();
    volume.write({ A: newSecret(), B: kept });
    await step('revision N: 2 served, 0 refused', '  rotated gitlab:A');
    volume.write({ B: kept, 'c-d': newSecret() });
    await step(
      'revision N: 1 served, 1 refused',
      '  withdrawn gitlab:A',
      '  refused gitlab:c-d: illegal-name',
    );

    serve.kill('SIGKILL');
    await serve.finished;
    await until(() => watch.stderr.startsWith('secret-resolver: no answer on '));
    volume.write({ B: kept });
    serve = await startServe(workspace.configFile);
    await step('revision N: 1 served, 0 refused');
    // The socket is ours alone for as long as it lasts, and leaves with us.
    await serve.stop();
    watch.kill('SIGINT');
    expect((await watch.finished).code).toBe(0);
    expect(watch.stdout + watch.stderr).not.toContain(kept);
  });

  test('ends after --count snapshots, and with exit 1 where it may not see', async () => {
    using workspace = new Workspace();
    workspace.writeBulkProvider('gitlab', 's');
    workspace.secret('s').write({ A: newSecret() });
    await using _serve = await startServe(workspace.configFile);
    const { code, stdout } = await cli(['watch', '--socket', workspace.socket, '--count', '1']);
    expect(code).toBe(0);
    expect(stdout.split('\n')).toHaveLength(3);
    expect(await cli(['watch', '--socket', workspace.socket, '--provider', 'none'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'secret-resolver: refused: no such provider for this caller: none\n',
    });
  });
});

describe('serve', () => {
  test('SIGHUP takes a good configuration and leaves the one in force where the new one is wrong', async () => {
    using workspace = new Workspace();
    workspace.writeBulkProvider('first', 's');
    workspace.secret('s').write({ A: newSecret() });
    workspace.secret('t').write({ B: newSecret() });
    await using serve = await startServe(workspace.configFile);
    using client = connect({ socket: workspace.socket });
    const keys = async () => [...(await client.getProviderEnvironment()).credentials.keys()].sort();
    expect(await keys()).toEqual(['A']);

    workspace.writeBulkProvider('second', 't');
    serve.kill('SIGHUP');
    await until(async () => (await keys()).length === 2);
    expect(await keys()).toEqual(['A', 'B']);

    // Wrong in two ways, one of them as bad as a file can be; the good part of it is not taken over either.
    const pasted = newSecret('pasted');
    workspace.writeProvider('first.yaml', {
      name: 'renamed',
      type: 'custom',
      endpoints: ENDPOINTS,
      credentials: {},
    });
    workspace.writeProvider('wrong.yaml', `token: *${pasted}\n`);
    workspace.writeProvider('wronger.yaml', `${pasted}: 1\n`);
    serve.kill('SIGHUP');
    await until(() => serve.stderr.includes('the new configuration is wrong'));
    expect(await keys()).toEqual(['A', 'B']);
    const line = serve
      .lines('stderr')
      .find(({ msg }) => msg === 'the new configuration is wrong; the one before stays in force');
    expect(line).toMatchObject({
      level: 'error',
      mistakes: 3,
      issues: [
        {
          file: `${workspace.root}/providers/wrong.yaml`,
          line: 1,
          column: 8,
          message: 'is an alias of an anchor that does not exist',
        },
        { field: 'provider', message: 'is missing' },
        { field: '<name>', message: 'is not a known field' },
      ],
    });
    await until(() => serve.stdout.includes('config-refused'));
    expect(
      serve
        .lines('stdout')
        .map(({ unmapped, status_detail }) => [(unmapped as { outcome?: string }).outcome, status_detail]),
    ).toContainEqual([
      'config-refused',
      `3 mistakes, the first: ${workspace.root}/providers/wrong.yaml:1:8: is an alias of an anchor that does not exist (put text that begins with "*" in quotes, or set the anchor before it)`,
    ]);

    // Mended: everything is taken over.
    workspace.writeProvider('wrong.yaml', { name: 'a', type: 'custom', credentials: {} });
    workspace.writeProvider('wronger.yaml', { name: 'b', type: 'custom', credentials: {} });
    serve.kill('SIGHUP');
    await until(async () => (await keys()).join() === 'B');
    const { code } = await serve.stop();
    expect(code).toBe(0);
    expect(serve.stderr + serve.stdout).not.toContain(pasted);
  });

  test('says which changed fields wait for the next start', async () => {
    using workspace = new Workspace();
    await using serve = await startServe(workspace.configFile);
    workspace.writeConfig({ log: { level: 'debug' }, metrics: { listen: '127.0.0.1:1' } });
    serve.kill('SIGHUP');
    await until(() => serve.stderr.includes('next start only'));
    expect(serve.lines('stderr').find(({ fields }) => fields !== undefined)).toMatchObject({
      level: 'warn',
      fields: ['metrics', 'log'],
    });
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends it with exit 0, in time, without its socket',
    async (signal) => {
      using workspace = new Workspace();
      workspace.writeBulkProvider('p', 's');
      workspace.secret('s').write({ A: newSecret() });
      await using serve = await startServe(workspace.configFile);
      using client = connect({ socket: workspace.socket });
      const watch = client.watchProviderEnvironment();
      await watch.next();
      const begun = performance.now();
      serve.kill(signal);
      const { code, stdout } = await serve.finished;
      expect(code).toBe(0);
      expect(performance.now() - begun).toBeLessThan(5_000);
      expect(stdout).toContain(`"status_detail":"${signal}"`);
      const again = await cli(['status', '--socket', workspace.socket]);
      expect(again.stderr).toContain('ENOENT');
      await watch.return();
    },
  );

  test('a missing Secret is refused by name, and the log says what to do', async () => {
    using workspace = new Workspace();
    workspace.writeBulkProvider('p', 's');
    await using serve = await startServe(workspace.configFile);
    expect(serve.lines('stderr').find(({ reason }) => reason !== undefined)).toMatchObject({
      level: 'warn',
      provider: 'p',
      reason: 'secret-missing',
      todo: 'check that the Secret exists and is mounted in the resolver at <secretsRoot>/<namespace>/<name>',
    });
    const { stdout } = await cli(['list', '--socket', workspace.socket]);
    expect(stdout).toContain(`secret-missing`);
    expect(stdout).toContain(`${NAMESPACE}/s/*`);
  });
});
