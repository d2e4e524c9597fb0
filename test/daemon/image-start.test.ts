/** `serve` as the image starts it, from one file and its compiled code: built from the checkout, with real processes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startFlags } from '../../src/boundary/reexec.ts';
import { connect } from '../../src/client/index.ts';
import { NODE } from '../support/checkout.ts';
import { type CliProcess, cli, startServe, until } from '../support/cli.ts';
import { freePort } from '../support/free-port.ts';
import { Product } from '../support/product.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';

/** In milliseconds. */
const BUILD_TIMEOUT_MS = 120_000;

let product: Product;
let workspace: Workspace;

beforeAll(() => {
  product = new Product();
}, BUILD_TIMEOUT_MS);

afterAll(() => product[Symbol.dispose]());

beforeEach(() => {
  workspace = new Workspace();
  for (const name of ['first', 'second', 'third']) {
    workspace.writeBulkProvider(name, name);
    const keys = Array.from({ length: 20 }, (_, key) => [`${name.toUpperCase()}_TOKEN_${key}`, newSecret()]);
    workspace.secret(name).write(Object.fromEntries(keys));
  }
});

afterEach(() => workspace[Symbol.dispose]());

/** As the image starts it, for a socket. */
function entry(socket = workspace.socket) {
  return { program: product.program, nodeFlags: product.nodeFlags(socket) };
}

/** The words that the process was last started with: those of the image, unless it replaced itself. */
function words({ pid }: CliProcess): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
}

const dist = () => join(product.folder, 'dist');

/** What became of the checks that depend on how node was started. */
async function selfFindings(): Promise<(string | undefined)[]> {
  using client = connect({ socket: workspace.socket });
  const findings = (await client.getStatus()).boundary?.findings ?? [];
  return ['self-permission-model', 'self-inspector', 'self-dumpable', 'self-core-limit'].map(
    (check) => findings.find(({ id }) => id === check)?.outcome,
  );
}

describe('serve as the image starts it', () => {
  it('serves as the process that was started, hardened, and may start nothing', async () => {
    await using serve = await startServe(workspace.configFile, [], entry());
    using client = connect({ socket: workspace.socket });
    expect((await client.getProviderEnvironment()).credentials.size).toBe(60);
    expect(words(serve)).toEqual([
      NODE,
      ...entry().nodeFlags,
      product.program,
      'serve',
      '--relaxed',
      '--config',
      workspace.configFile,
    ]);
    expect(await selfFindings()).toEqual(['pass', 'pass', 'pass', 'pass']);
    expect(serve.stderr).not.toContain('Warning');
  });

  it('becomes itself once, from the same file, where the socket is in another place', async () => {
    await using serve = await startServe(workspace.configFile, [], entry('/run/other/own/resolver.sock'));
    using client = connect({ socket: workspace.socket });
    expect((await client.getProviderEnvironment()).credentials.size).toBe(60);
    const [node, ...rest] = words(serve);
    expect(node).toBe(NODE);
    expect(rest.slice(0, rest.indexOf(product.program))).toEqual(
      startFlags({ socket: { path: workspace.socket }, audit: { path: undefined } }),
    );
    expect(await selfFindings()).toEqual(['pass', 'pass', 'pass', 'pass']);
  });

  it('draws its key anew at each start, and gives the same handles', async () => {
    const starts = [];
    for (let start = 0; start < 2; start++) {
      const before = Date.now();
      await using serve = await startServe(workspace.configFile, [], entry());
      using client = connect({ socket: workspace.socket });
      const { revision, credentials } = await client.getProviderEnvironment();
      const { startedAtMs } = await client.getStatus();
      expect(Number(startedAtMs)).toBeGreaterThanOrEqual(before);
      starts.push({ revision, handles: [...credentials.values()].map(({ handle }) => handle).sort() });
      await serve.stop();
    }
    const [first, second] = starts;
    expect(second?.revision).not.toBe(first?.revision);
    expect(second?.handles).toEqual(first?.handles);
  });

  it('reads its configuration again on SIGHUP', async () => {
    await using serve = await startServe(workspace.configFile, [], entry());
    using client = connect({ socket: workspace.socket });
    rmSync(join(workspace.root, 'providers/third.yaml'));
    serve.kill('SIGHUP');
    await until(async () => (await client.getProviderEnvironment()).credentials.size === 40);
    expect(serve.stderr).toContain('configuration read again');
  });

  it('serves a rotation', async () => {
    await using serve = await startServe(workspace.configFile, [], entry());
    using client = connect({ socket: workspace.socket });
    workspace.secret('third').write({ ROTATED: newSecret() });
    await until(async () => (await client.getProviderEnvironment()).credentials.size === 41);
    expect(serve.child.exitCode).toBeNull();
  });

  it('ends with 0 on SIGTERM and takes its socket with it', async () => {
    await using serve = await startServe(workspace.configFile, [], entry());
    const { code, stdout } = await serve.stop();
    expect(code).toBe(0);
    expect(existsSync(workspace.socket)).toBe(false);
    expect(stdout.trimEnd().split('\n').at(-1)).toContain('resolver stopped');
  });

  it('has metrics and health where they are asked for', async () => {
    const [metrics, health] = [await freePort(), await freePort()];
    workspace.writeConfig({
      metrics: { listen: `127.0.0.1:${metrics}` },
      health: { listen: `127.0.0.1:${health}` },
    });
    await using _serve = await startServe(workspace.configFile, [], entry());
    const response = await fetch(`http://127.0.0.1:${metrics}/metrics`);
    expect(await response.text()).toContain('\nsecret_resolver_boundary_proven 0\n');
    execFileSync(NODE, ['test/pod/health-check.ts', String(health), '5'], { stdio: 'inherit' });
  });

  it('opens the socket of the gateway driver, under flags that let it write there', async () => {
    const socket = join(workspace.root, 'run/driver/driver.sock');
    workspace.writeGatewayConfig(socket, { default: ['first'] });
    await using serve = await startServe(workspace.configFile, ['--gateway-driver'], entry());
    expect(existsSync(socket)).toBe(true);
    expect(words(serve)).toContain(`--allow-fs-write=${join(workspace.root, 'run/driver')}`);
    expect(await selfFindings()).toEqual(['pass', 'pass', 'pass', 'pass']);
  });

  it.each([
    ['a configuration that is wrong', () => ['serve', '--relaxed', '--config', workspace.configFile]],
    ['a configuration that is not there', () => ['serve', '--config', '/nonexistent/config.yaml']],
    ['no configuration', () => ['serve']],
    ['an option that there is not', () => ['serve', '--no-such-option']],
    ['--help', () => ['serve', '--help']],
    ['a command that there is not', () => ['no-such-command']],
    ['another command', () => ['config', 'validate', workspace.configFile]],
    ['nothing at all', () => []],
  ])('says the same as the program from its own files, and ends as that does: %s', async (_what, args) => {
    workspace.writeConfig({ callers: [{ name: 'supervisor', uid: 'nobody', providers: ['*'] }] });
    const own = await cli(args(), entry());
    const plain = await cli(args());
    expect(own).toEqual(plain);
  });

  it('ends with an internal error, shown, where a part of it is missing', async () => {
    renameSync(join(product.folder, 'node_modules'), join(product.folder, 'away'));
    try {
      const { code, stderr } = await cli(['serve', '--relaxed', '--config', workspace.configFile], entry());
      expect(stderr).toContain('secret-resolver: internal error\n');
      expect(stderr).toContain('koffi');
      expect(code).toBe(70);
    } finally {
      renameSync(join(product.folder, 'away'), join(product.folder, 'node_modules'));
    }
  });

  it('takes its compiled code, and that of Node, under flags that still forbid eval', () => {
    const script = `process.argv = [process.execPath, ${JSON.stringify(product.program)}, 'serve', '--help'];
      process.stdout.write = () => true;
      const { scripts, withoutFlags } = require(process.argv[1]);
      let refusal;
      try { eval('0'); } catch (error) { refusal = error.message; }
      const tag = withoutFlags(() => require('node:v8').cachedDataVersionTag());
      console.error(JSON.stringify({ rejected: scripts.get('serve.cjs').cachedDataRejected, refusal, tag }));`;
    const flags = [...product.nodeFlags(workspace.socket), '--no-warnings'];
    const { stderr } = spawnSync(NODE, [...flags, '--eval', script], { encoding: 'utf8' });
    // The code in Node's binary has the tag of a V8 without flags.
    const tag = Number(execFileSync(NODE, ['--print', 'v8.cachedDataVersionTag()'], { encoding: 'utf8' }));
    expect(JSON.parse(stderr)).toEqual({
      rejected: false,
      refusal: 'Code generation from strings disallowed for this context',
      tag,
    });
  });

  it('compiles its code where it finds none', async () => {
    const away = join(product.folder, 'away');
    mkdirSync(away);
    const caches = readdirSync(dist()).filter((name) => name.endsWith('.cache'));
    for (const name of caches) renameSync(join(dist(), name), join(away, name));
    try {
      await using _serve = await startServe(workspace.configFile, [], entry());
      using client = connect({ socket: workspace.socket });
      expect((await client.getProviderEnvironment()).credentials.size).toBe(60);
    } finally {
      for (const name of caches) renameSync(join(away, name), join(dist(), name));
    }
    expect(caches).toContain('serve.cache');
    expect(caches).toContain('load-config.cache');
  });

  it('reads its configuration with what is not in its own file, and keeps nothing of that', async () => {
    const own = readFileSync(join(dist(), 'serve.cjs'), 'utf8');
    const reading = readFileSync(join(dist(), 'load-config.cjs'), 'utf8');
    for (const name of ['YAMLParseError', 'ZodError', 'Invalid input: expected']) {
      expect(reading).toContain(name);
      expect(own).not.toContain(name);
    }
    const heap = join(workspace.root, 'heap');
    const look = join(workspace.root, 'look.cjs');
    writeFileSync(
      look,
      `process.on('SIGWINCH', () => {
        globalThis.gc({ type: 'major', flavor: 'last-resort', execution: 'sync' });
        require('node:v8').writeHeapSnapshot(${JSON.stringify(`${heap}.new`)});
        require('node:fs').renameSync(${JSON.stringify(`${heap}.new`)}, ${JSON.stringify(heap)});
      });`,
    );
    const { program, nodeFlags } = entry();
    await using serve = await startServe(workspace.configFile, [], {
      program,
      nodeFlags: [...nodeFlags, `--allow-fs-write=${workspace.root}/*`, '--require', look],
    });
    using client = connect({ socket: workspace.socket });
    rmSync(join(workspace.root, 'providers/third.yaml'));
    serve.kill('SIGHUP');
    await until(async () => (await client.getProviderEnvironment()).credentials.size === 40);
    serve.kill('SIGWINCH');
    await until(() => existsSync(heap), 20_000);
    // As truth values: a heap has every value in it.
    const snapshot = readFileSync(heap, 'utf8');
    const holds = (name: string) => snapshot.includes(join(dist(), name));
    expect(holds('serve.cjs')).toBe(true);
    expect(holds('load-config.cjs')).toBe(false);
  });
});
