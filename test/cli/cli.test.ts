/** The commands as a person meets them: words, exit codes, streams. Each runs in a process of its own. */
import { execFile, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { promisify } from 'node:util';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { COMMANDS } from '../../src/cli/commands.ts';
import { CHECKOUT, MAIN, NODE } from '../support/checkout.ts';
import { CliProcess, cli, startServe } from '../support/cli.ts';
import { FakeResolver } from '../support/fake-resolver.ts';
import { runInProcess } from '../support/in-process.ts';
import { newSecret } from '../support/secrets.ts';
import { ENDPOINTS, NAMESPACE, Workspace } from '../support/workspace.ts';

describe('help', () => {
  test('of the whole names each command and the exit codes, on stdout', async () => {
    const { code, stdout, stderr } = await cli(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const known = [
      'serve',
      'check',
      'get',
      'watch',
      'list',
      'status',
      'config',
      'self-test',
      'inject',
      'lint',
      'profile',
      'openshell',
      'egress',
      'completion',
      'man',
    ];
    for (const command of new Set([...known, ...Object.keys(COMMANDS)]))
      expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b.* {2}\\w`, 'm'));
    expect(stdout).toContain('Exit codes:\n   0  done\n   1  refused');
  });

  test.each([
    [
      'serve',
      [
        'SIGHUP',
        'stdout',
        'OCSF',
        'SECRET_RESOLVER_CONFIG',
        'SECRET_RESOLVER_SANDBOX_NAMESPACE',
        '--relaxed',
        'config validate',
      ],
    ],
    ['get', ['--reveal', '--yes', 'SECRET_RESOLVER_SOCKET', 'Examples:', 'Exit codes:']],
    ['watch', ['--count', '--provider', 'reconnects', 'Exit codes:']],
    ['list', ['--output', 'never a value', 'Exit codes:', '`callers`']],
    ['status', ['boundary', 'exit 0 if it is serving, 1 if not', 'Exit codes:']],
    ['config', ['validate [options] <file>', 'schema [name]']],
    ['config validate', ['exit 0, or 2 with every mistake']],
    ['config schema', ['choices: "config", "provider", "profile"']],
  ])('of %s says what a stranger needs', async (command, words) => {
    const { code, stdout, stderr } = await runInProcess(...command.split(' '), '--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: secret-resolver ${command} `));
    expect(stdout).toContain('-h, --help');
    for (const word of words) expect(stdout.replaceAll(/\s+/g, ' ')).toContain(word.replaceAll(/\s+/g, ' '));
  });

  test('of nothing is the usage, as an error', async () => {
    const { code, stdout, stderr } = await cli([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: secret-resolver [options] [command]');
  });

  test('the version is that of the package', async () => {
    const { default: manifest } = await import('../../package.json', { with: { type: 'json' } });
    expect(await cli(['--version'])).toMatchObject({ code: 0, stdout: `${manifest.version}\n` });
  });
});

describe('a wrong command line is exit 2 and a sentence', () => {
  test.each([
    [['gett'], "error: unknown command 'gett'\n(Did you mean get?)"],
    [['toString'], "error: unknown command 'toString'"],
    [['get', '--nope'], "error: unknown option '--nope'\n(--help lists what can be written here)"],
    [
      ['list', '--output', 'xml'],
      "error: option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are table, wide, json, yaml.",
    ],
    [
      ['watch', '--count', '0'],
      "error: option '--count <n>' argument '0' is invalid. write a whole number above 0.",
    ],
    [['config'], 'Usage: secret-resolver config'],
    [['config', 'validate'], "error: missing required argument 'file'"],
    [
      ['serve'],
      'secret-resolver: no configuration file: write --config FILE, or set SECRET_RESOLVER_CONFIG\n',
    ],
    [['serve', '--config', ''], 'secret-resolver: no configuration file: write --config FILE'],
    [
      ['serve', '--config', '/nonexistent/x.yaml'],
      'secret-resolver: /nonexistent/x.yaml: cannot be read: ENOENT (check the path, and that this user may read it)\n',
    ],
  ])('%j', async (args, words) => {
    const { code, stdout, stderr } = await runInProcess(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(words);
    expect(stderr).not.toContain('    at ');
  });

  test('serve with a wrong configuration tells each mistake and opens nothing', async () => {
    using workspace = new Workspace();
    workspace.writeConfig({ agent: { uid: 'x' }, sockets: 1 });
    const { code, stdout, stderr } = await cli(['serve', '--relaxed'], {
      env: { SECRET_RESOLVER_CONFIG: workspace.configFile },
    });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      `secret-resolver: ${workspace.configFile}:17:3: agent.uid: has the wrong type, expected a number (write a numeric user id, for example 1000)`,
      `${workspace.configFile}:18:1: sockets: is not a known field (write socket)`,
      '',
    ]);
  });
});

describe('config validate', () => {
  test('sums up what was understood', async () => {
    using workspace = new Workspace();
    workspace.writeConfig({
      callers: [
        { name: 'supervisor', uid: 0, providers: ['git*'] },
        { name: 'nobody', uid: 7, providers: ['x'] },
      ],
    });
    workspace.writeBulkProvider('gitlab', 's');
    workspace.writeProvider('b.yaml', {
      name: 'bare',
      type: 'custom',
      credentials: { TOKEN: { source: { type: 'kubernetesSecret', name: 'x', key: 'y' } } },
    });
    expect(await runInProcess('config', 'validate', workspace.configFile)).toMatchObject({
      code: 0,
      stderr: '',
      stdout: `${workspace.configFile}:19:9: warning: callers[1].providers[0]: matches no provider [secret-resolver]
    fix: the providers are bare, gitlab
${workspace.root}/providers/b.yaml:1:1: warning: provider.endpoints: provider bare has no endpoints, neither here nor in a profile: each of its credentials is refused [secret-resolver]
    fix: write endpoints: [{host: api.example.com}]
${workspace.configFile}: ok, 0 errors, 2 warnings
  provider bare (custom): TOKEN = ${NAMESPACE}/x/y
  provider gitlab (custom): allKeys of ${NAMESPACE}/s
  caller supervisor (uid 0): gitlab
  caller nobody (uid 7): matches no provider
`,
    });
  });

  test('says when nothing would be served', async () => {
    using workspace = new Workspace();
    workspace.writeConfig({ callers: [] });
    const { stdout } = await runInProcess('config', 'validate', workspace.configFile);
    expect(stdout).toBe(
      `${workspace.configFile}:6:1: warning: providersDir: has no provider file, so nothing is served [secret-resolver]
    fix: add a file that ends in .yaml
${workspace.configFile}:11:1: warning: callers: lists nobody, so nobody is served [secret-resolver]
    fix: list the supervisor
${workspace.configFile}: ok, 0 errors, 2 warnings
`,
    );
  });
});

describe('a table', () => {
  const long = (letter: string) => letter.repeat(40);
  test.each(['list', 'get', 'status'])(
    'of %s fits 80 columns with names of 40 characters',
    async (command) => {
      using workspace = new Workspace();
      const [secret, gone] = [long('s'), long('g')];
      workspace.writeProvider('long.yaml', {
        name: long('p'),
        type: 'custom',
        endpoints: ENDPOINTS,
        credentials: {
          [long('K')]: {
            source: { type: 'kubernetesSecret', name: secret, key: 'k' },
            required: true,
            expiresAt: '2999-01-01T00:00:00Z',
          },
          [long('M')]: { source: { type: 'kubernetesSecret', name: gone, key: 'k' } },
        },
      });
      workspace.secret(secret).write({ k: newSecret() });
      await using _serve = await startServe(workspace.configFile);
      const { stdout } = await cli([command, '--socket', workspace.socket]);
      const table = stdout.split('\n').filter((line) => /^ {2}(KEY|SECRET|[KMsg]{40})/.test(line));
      expect(table.length).toBeGreaterThan(1);
      expect(table.filter((line) => line.length > 80)).toEqual([]);
    },
  );
});

describe('nobody answers: exit 3, and what to look at', () => {
  test.each(['get', 'list', 'status', 'watch'])('%s', async (command) => {
    using workspace = new Workspace();
    expect(await cli([command, '--socket', workspace.socket])).toMatchObject({
      code: 3,
      stdout: '',
      stderr: `secret-resolver: no answer on ${workspace.socket}: no connection (ENOENT)\nThe socket does not exist. Is \`secret-resolver serve\` running, and is this its \`socket.path\`?\n`,
    });
  });

  test('after a crash the socket exists and no process listens', async () => {
    using workspace = new Workspace();
    await using serve = await startServe(workspace.configFile);
    serve.kill('SIGKILL');
    await serve.finished;
    const { code, stderr } = await cli(['status', '-s', workspace.socket]);
    expect(code).toBe(3);
    expect(stderr).toContain(
      'no connection (ECONNREFUSED)\nThe socket exists, but no process listens on it.',
    );
  });

  test('a user that no caller rule lists is hung up on, and told what that may mean', async () => {
    using workspace = new Workspace();
    const uid = process.getuid?.() ?? 0;
    workspace.writeConfig({ callers: [{ name: 'other', uid, gid: 4_000_000, providers: ['*'] }] });
    await using _serve = await startServe(workspace.configFile);
    const { code, stderr } = await cli(['status', '-s', workspace.socket]);
    expect(code).toBe(3);
    expect(stderr).toContain(
      `its \`callers\` do not list UID ${uid}: then it closes the connection without an answer.`,
    );
  });
});

test('status of a resolver that lists no credentials now says the rest', async () => {
  const listError = { code: status.UNAVAILABLE, details: 'not yet' };
  await using fake = await FakeResolver.open({ status: { serving: true }, listError });
  const { code, stdout, stderr } = await runInProcess('status', '--socket', fake.socket, '-o', 'json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).not.toHaveProperty('refusedCredentials');
});

describe('with a resolver', () => {
  let workspace: Workspace;
  let serve: CliProcess;
  let token: string;
  let pem: string;
  const ask = (...args: string[]) => cli([...args, '--socket', workspace.socket]);
  beforeAll(async () => {
    workspace = new Workspace();
    token = newSecret();
    pem = newSecret('second');
    workspace.writeProvider('gitlab.yaml', {
      name: 'gitlab',
      type: 'custom',
      endpoints: ENDPOINTS,
      credentials: {
        TOKEN: {
          source: { type: 'kubernetesSecret', name: 's', key: 'token' },
          expiresAt: '2999-01-01T00:00:00Z',
        },
        MISSING: { source: { type: 'kubernetesSecret', name: 's', key: 'missing' } },
      },
    });
    workspace.writeProvider('other.yaml', {
      name: 'other',
      type: 'custom',
      endpoints: ENDPOINTS,
      credentials: { SECOND: { source: { type: 'kubernetesSecret', name: 's', key: 'second' } } },
    });
    workspace.secret('s').write({ token, second: pem });
    serve = await startServe(workspace.configFile);
  });
  afterAll(async () => {
    await serve[Symbol.asyncDispose]();
    workspace[Symbol.dispose]();
  });

  test.each([[[]], [['--output', 'json']], [['--output', 'yaml']], [['TOKEN']], [['--provider', 'gitlab']]])(
    'get %j has fingerprints and never a value',
    async (args) => {
      const { code, stdout, stderr } = await ask('get', ...args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain('TOKEN');
      for (const secret of [token, pem]) {
        expect(stdout).not.toContain(secret);
        expect(stdout).not.toContain(Buffer.from(secret).toString('base64').slice(0, 16));
      }
    },
  );

  test('get prints the same in each format', async () => {
    const json = JSON.parse((await ask('get', '-o', 'json')).stdout);
    expect(json).toEqual([
      {
        provider: 'gitlab',
        key: 'TOKEN',
        state: 'served',
        required: false,
        reference: `${NAMESPACE}/s/token`,
        expiresAt: '2999-01-01T00:00:00.000Z',
        fingerprint: expect.stringMatching(/^[0-9a-f]{8,}$/),
        handle: expect.stringMatching(/^[0-9a-f]{64}$/),
        endpoints: ENDPOINTS.map((endpoint) => ({ ...endpoint, path: '', tls: true })),
      },
      expect.objectContaining({ provider: 'other', key: 'SECOND' }),
    ]);
    expect(parse((await ask('get', '-o', 'yaml')).stdout)).toEqual(json);
    const wide = (await ask('get', '-o', 'wide')).stdout.split('\n');
    expect(wide[0]).toMatch(/^KEY +PROVIDER +FINGERPRINT +PLACEHOLDER HANDLE +ENDPOINTS$/);
    expect(wide[1]).toMatch(
      new RegExp(`^TOKEN +gitlab +${json[0].fingerprint} +${json[0].handle} +\\S+:443\\S*$`),
    );
    const table = (await ask('get')).stdout.split('\n');
    expect(table.slice(0, 3)).toEqual([
      'gitlab',
      expect.stringMatching(/^ {2}to \S+:443\S*$/),
      expect.stringMatching(/^ {2}KEY +FINGERPRINT$/),
    ]);
    expect(table[3]).toMatch(new RegExp(`^ {2}TOKEN +${json[0].fingerprint}$`));
  });

  /**
   * What `get --reveal` writes. It is the one output that values belong in, so it is not kept with the artifacts
   * that are searched for them.
   */
  async function revealed(...args: string[]): Promise<string> {
    const command = [MAIN, 'get', '--reveal', ...args, '--socket', workspace.socket];
    const { stdout, stderr } = await promisify(execFile)(NODE, command);
    expect(stderr).toBe('');
    return stdout;
  }

  test('get --reveal writes one value as it is, or several by name', async () => {
    expect(await revealed('TOKEN')).toBe(token);
    expect(JSON.parse(await revealed('-o', 'json'))).toEqual({
      TOKEN: token,
      SECOND: pem,
    });
    expect(parse(await revealed('-o', 'yaml', '--provider', 'other'))).toEqual({
      SECOND: pem,
    });
    const table = await revealed();
    expect(table).toMatch(
      new RegExp(
        `^KEY +VALUE\nSECOND +${pem}\nTOKEN +${token}\n$|^KEY +VALUE\nTOKEN +${token}\nSECOND +${pem}\n$`,
      ),
    );
  });

  test.each([[['MISSING']], [['MISSING', '--reveal']], [['TOKEN', 'NEVER_HEARD_OF']]])(
    'get %j of what is not served is refused',
    async (args) => {
      const { code, stdout, stderr } = await ask('get', ...args);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toBe(
        `secret-resolver: not served: ${args.find((name) => name !== 'TOKEN')} (\`secret-resolver list\` shows the reason)\n`,
      );
    },
  );

  test.each([['get'], ['get', '--reveal'], ['watch']])(
    '%j of an unknown provider is refused by name',
    async (...args) => {
      const { code, stdout, stderr } = await ask(...args, '--provider', 'gitlab', '--provider', 'none');
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain('none');
    },
  );

  test('watch -o json prints one object a line', async () => {
    const { code, stdout } = await ask('watch', '--count', '1', '-o', 'json', '--provider', 'gitlab');
    expect(code).toBe(0);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events).toEqual([
      {
        at: expect.any(String),
        event: 'snapshot',
        revision: expect.stringMatching(/^\d+$/),
        served: 1,
        refused: 1,
      },
      { at: expect.any(String), event: 'loaded', provider: 'gitlab', key: 'TOKEN' },
      { at: expect.any(String), event: 'refused', provider: 'gitlab', key: 'MISSING', reason: 'key-missing' },
    ]);
  });

  test('get --reveal of a provider that is not there is refused', async () => {
    expect(await ask('get', '--reveal', '--provider', 'none')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'secret-resolver: refused: no such provider for this caller: none\n',
    });
  });

  /** Runs a command with a terminal as its stdout, and returns what the terminal shows. */
  async function onTerminal(...args: string[]): Promise<{ code: number | null; shown: string }> {
    const command = [NODE, MAIN, ...args, '--socket', workspace.socket].map((word) => `'${word}'`).join(' ');
    const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env.PATH ?? '', TERM: 'xterm' },
      cwd: CHECKOUT,
    });
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, shown };
  }

  test('get --reveal refuses a terminal without --yes, and asks the resolver for nothing', async () => {
    const served = () => serve.stdout.split('GetProviderEnvironment: served').length;
    const before = served();
    const { code, shown } = await onTerminal('get', 'TOKEN', '--reveal');
    expect(code).toBe(2);
    expect(shown.replaceAll('\r\n', '\n')).toBe(
      'secret-resolver: values would be shown on this terminal, and stay in its history: add --yes if you mean it, or write them to a pipe\n',
    );
    expect(served()).toBe(before);
    const meant = await onTerminal('get', 'TOKEN', '--reveal', '--yes');
    expect(meant).toEqual({ code: 0, shown: token });
  });

  test('a terminal gets colour, a pipe and NO_COLOR do not', async () => {
    const { shown } = await onTerminal('list');
    expect(shown).toContain('\x1b[32mserved\x1b[39m');
    expect((await ask('list')).stdout).not.toContain('\x1b');
    expect(
      (await cli(['list', '--socket', workspace.socket], { env: { FORCE_COLOR: '' } })).stdout,
    ).not.toContain('\x1b');
  });

  test('list shows what is refused, why, and what to do', async () => {
    const { code, stdout } = await ask('list');
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'gitlab',
      expect.stringMatching(/^ {2}to \S+:443$/),
      expect.stringMatching(/^ {2}KEY +STATE +EXPIRES$/),
      expect.stringMatching(/^ {2}MISSING +key-missing +-$/),
      expect.stringMatching(/^ {2}TOKEN +served +in \d+ d$/),
      '',
      'other',
      expect.stringMatching(/^ {2}to \S+:443$/),
      expect.stringMatching(/^ {2}KEY +STATE +EXPIRES$/),
      expect.stringMatching(/^ {2}SECOND +served +-$/),
      '',
      'key-missing: check the key in the Secret, and that ESO has synced it',
      `  ${NAMESPACE}/s/missing`,
      '',
    ]);
    const wide = (await ask('list', '-o', 'wide')).stdout.split('\n');
    expect(wide[0]).toMatch(/^PROVIDER +KEY +STATE +EXPIRES +SECRET +FINGERPRINT +ENDPOINTS$/);
    expect(wide[1]).toMatch(new RegExp(`^gitlab +MISSING +key-missing +- +${NAMESPACE}/s/missing +- +-$`));
    expect(JSON.parse((await ask('list', '-o', 'json')).stdout)).toHaveLength(3);
    expect(stdout).not.toContain(token);
  });

  test('status tells how it is, for people and for programs', async () => {
    const { code, stdout } = await ask('status');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        `^serving\nresolver \\S+, started \\d+ (?:s|min) ago\nsandbox ${NAMESPACE}/nvbugs \\(sandbox-0001\\)\n1 credential is refused: see "secret-resolver list"\nboundary: `,
      ),
    );
    expect(stdout).toMatch(
      new RegExp(`^${NAMESPACE}\n {2}SECRET +STATE +KEYS +READ\n {2}s +ready +2 +\\d+ (?:s|min) ago$`, 'm'),
    );
    expect((await ask('status', '-o', 'wide')).stdout).toMatch(
      new RegExp(`^${NAMESPACE} +s +ready +\\.\\.\\d{4}_\\S+ +2 +\\d+ (?:s|min) ago +\\d+$`, 'm'),
    );
    expect(stdout).not.toContain('not mounted');
    expect(stdout).toMatch(/no watchers\n$/);
    const json = JSON.parse((await ask('status', '-o', 'json')).stdout);
    expect(json).toMatchObject({
      serving: true,
      notServingBecause: [],
      sandbox: { namespace: NAMESPACE },
      boundary: { relaxed: true },
      volumes: [{ secret: `${NAMESPACE}/s`, state: 'ready', keys: 2 }],
      refusedCredentials: [
        {
          provider: 'gitlab',
          key: 'MISSING',
          reason: 'key-missing',
          required: false,
          reference: `${NAMESPACE}/s/missing`,
        },
      ],
      watchers: [],
    });
    expect(Date.parse(json.startedAt)).toBeGreaterThan(Date.now() - 600_000);
  });

  test('a reader that has seen enough, and a disk that is full, are no crashes', async () => {
    // Two lines are read, then the pipe is closed: more is written to it when the Secret changes.
    await using watch = new CliProcess(['watch', '--socket', workspace.socket]);
    await new Promise((resolve) => watch.child.stdout?.once('data', resolve));
    watch.child.stdout?.destroy();
    workspace.secret('s').write({ token, second: newSecret('second') });
    const { code, stderr } = await watch.finished;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

    const child = spawn(NODE, [MAIN, 'list', '--socket', workspace.socket], {
      stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1);
    expect(said).toBe('secret-resolver: the output cannot be written: ENOSPC\n');
  });
});
