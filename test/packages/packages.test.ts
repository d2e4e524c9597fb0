/** What somebody has who installs a package: no warning, both module systems, two bundlers, every supported Node.js. */
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { execa } from 'execa';
import { rolldown } from 'rolldown';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { VERSION } from '../../src/domain/version.ts';
import { CHECKOUT } from '../support/checkout.ts';
import { type CliProcess, startServe } from '../support/cli.ts';
import { newSecret } from '../support/secrets.ts';
import { Workspace } from '../support/workspace.ts';
import { type Installed, type NodeName, Packages } from './install.ts';
import { readmeProgram } from './readme-program.ts';

const SUPPORTED = ['oldest', 'newest'] as const satisfies NodeName[];

const packages = new Packages();
let client: Record<(typeof SUPPORTED)[number], Installed>;
let main: Installed;

beforeAll(async () => {
  const [clientTarball, mainTarball] = await Promise.all([
    packages.packClient(),
    packages.packMain(),
    packages.installNodes(),
  ]);
  const [oldest, newest, installed] = await Promise.all([
    packages.install(clientTarball, 'oldest', 'mounted-secret-resolver-client'),
    packages.install(clientTarball, 'newest', 'mounted-secret-resolver-client'),
    packages.install(mainTarball, 'oldest', 'mounted-secret-resolver/client'),
  ]);
  client = { oldest, newest };
  main = installed;
}, 300_000);
afterAll(() => packages[Symbol.dispose]());

describe('the client package', () => {
  it.each(SUPPORTED)('installs without a warning of its own on the %s Node.js', (node) => {
    const { output } = client[node];
    expect(output).not.toMatch(/EBADENGINE|deprecated|ERR/);
    // npm asks about the install scripts of all packages below. The one of protobufjs, which @grpc/grpc-js brings,
    // prints a notice about versions and need not run.
    expect(output.match(/\S+@\S+ \((?:pre|post)?install: .*\)/g) ?? []).toEqual([
      expect.stringMatching(/^protobufjs@/),
    ]);
  });

  it('holds the compiled client, what it imports, and no other file', () => {
    const { folder, specifier } = client.newest;
    const imported = [
      'domain/endpoint',
      'domain/glob',
      'domain/limits',
      'domain/names',
      'domain/secret-value',
    ];
    const sources = [
      ...globSync('client/*.ts', { cwd: join(CHECKOUT, 'src') }),
      ...[...imported, 'gen/secretresolver/v1/resolver_pb'].map((name) => `${name}.ts`),
    ];
    expect(filesBelow(join(folder, 'node_modules', specifier))).toEqual(
      [...compiled(sources), 'LICENSE', 'README.md', 'package.json'].sort(),
    );
  });

  it('has two direct dependencies, no script and no native addon', () => {
    const { folder, specifier } = client.newest;
    const read = (file: string) => JSON.parse(readFileSync(file, 'utf8'));
    const manifest = read(join(folder, 'node_modules', specifier, 'package.json'));
    const { dependencies } = read(join(CHECKOUT, 'package.json'));
    expect(manifest.version).toBe(VERSION);
    expect(manifest.scripts).toBeUndefined();
    expect(manifest.dependencies).toEqual({
      '@bufbuild/protobuf': dependencies['@bufbuild/protobuf'],
      '@grpc/grpc-js': dependencies['@grpc/grpc-js'],
    });
    const files = globSync('**', { cwd: join(folder, 'node_modules') });
    expect(files.filter((file) => file.endsWith('.node') || file.endsWith('binding.gyp'))).toEqual([]);
  });
});

describe('the main package', () => {
  it('holds the compiled sources, the protocol and the manifests, and no other file', () => {
    // What only the image needs, and what a chart's package holds.
    const elsewhere = /^serve-bundle\.ts$|^deploy\/(image|chart)\/|\.binpb$/;
    const below = (folder: string) => filesBelow(join(CHECKOUT, folder)).map((name) => `${folder}/${name}`);
    const sources = filesBelow(join(CHECKOUT, 'src')).filter((file) => !elsewhere.test(file));
    const others = [...below('proto'), ...below('deploy')].filter((file) => !elsewhere.test(file));
    const documents = ['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'];
    expect(filesBelow(join(main.folder, 'node_modules/mounted-secret-resolver'))).toEqual(
      [...compiled(sources), ...others, ...documents].sort(),
    );
  });

  it('has a binary that is one, and is a plugin of kubectl by its second name', async () => {
    expect(readlinkSync(join(main.folder, 'node_modules/.bin/kubectl-secret_resolver'))).toBe(
      readlinkSync(commandOf(main)),
    );
    for (const node of SUPPORTED) {
      const { stdout, stderr } = await execa(packages.nodes[node], [commandOf(main), '--version']);
      expect([stdout, stderr]).toEqual([VERSION, '']);
    }
  });

  it('says what it needs on a Node.js that is too old, and so does vitest', async () => {
    const old = packages.nodes.tooOld;
    const run = (...args: readonly string[]) => execa(old, args, { cwd: CHECKOUT, reject: false });
    const sentence = `needs Node.js 24 or newer, but this is Node.js 20.20.2 (${old})`;
    for (const args of [[], ['serve'], ['--version']]) {
      expect(await run(commandOf(main), ...args)).toMatchObject({
        exitCode: 2,
        stdout: '',
        stderr: `secret-resolver: ${sentence}`,
      });
    }
    const vitest = await run(join(CHECKOUT, 'node_modules/vitest/vitest.mjs'), 'run');
    expect(vitest).toMatchObject({ exitCode: 2, stdout: '' });
    expect(vitest.stderr).toBe(
      `vitest: ${sentence}: run \`npm test\`, which uses the Node.js of node_modules`,
    );
  });
});

describe.each(SUPPORTED)('the README, with the %s Node.js', (node) => {
  const secret = newSecret();
  let workspace: Workspace;
  let serve: CliProcess;
  beforeEach(async () => {
    workspace = new Workspace();
    workspace.writeBulkProvider('gitlab', 's');
    workspace.secret('s').write({ TOKEN: secret });
    serve = await startServe(workspace.configFile, [], {
      node: packages.nodes[node],
      program: commandOf(main),
    });
  }, 60_000);
  afterEach(async () => {
    await serve[Symbol.asyncDispose]();
    workspace[Symbol.dispose]();
  });

  it.each(['client', 'main'] as const)(
    'does what it says with the %s package',
    async (name) => {
      const installed = name === 'main' ? main : client[node];
      const programs = await compile(installed);
      const digest = createHash('sha256').update(secret).digest('hex');
      for (const program of programs) {
        const { stdout, stderr } = await execa(packages.nodes[node], [program, workspace.socket], {
          cwd: '/',
        });
        expect.soft(stderr, program).toBe('');
        expect.soft(JSON.parse(stdout), program).toEqual([
          {
            key: 'TOKEN',
            handle: expect.stringMatching(/^[0-9a-f]{64}$/),
            digest,
            endpoints: [{ host: 'gitlab.example.com', port: 443, path: '' }],
          },
          { digest },
          { status: 403, reason: 'credential_endpoint_mismatch' },
          { served: true },
          { relaxed: true },
          { revision: 'string' },
        ]);
      }
    },
    120_000,
  );
});

function filesBelow(folder: string): string[] {
  return globSync('**', { cwd: folder, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    .filter((name) => !name.startsWith('node_modules/'))
    .sort();
}

/** What tsc writes for these sources. */
function compiled(sources: readonly string[]): string[] {
  return sources.flatMap((file) => [
    `dist/${file.replace(/ts$/, 'js')}`,
    `dist/${file.replace(/ts$/, 'd.ts')}`,
  ]);
}

function commandOf({ folder }: Installed): string {
  return join(folder, 'node_modules/.bin/secret-resolver');
}

/** The README's program as a module and required, checked by tsc with all declarations, and as one file of each bundler. */
async function compile({ folder, specifier }: Installed): Promise<string[]> {
  const text = readmeProgram(specifier);
  for (const extension of ['mts', 'cts']) writeFileSync(join(folder, `program.${extension}`), text);
  const compilerOptions = {
    module: 'nodenext',
    target: 'esnext',
    strict: true,
    types: ['node'],
    skipLibCheck: false,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['program.*'] }));
  const tsc = await execa(join(CHECKOUT, 'node_modules/.bin/tsc'), { cwd: folder, reject: false });
  expect(tsc.stdout).toBe('');

  // Where no package can be found: a bundle has all that it needs in it.
  const alone = `${folder}-bundles`;
  mkdirSync(alone, { recursive: true });
  const input = join(folder, 'program.mjs');
  const bundles = [join(alone, 'esbuild.cjs'), join(alone, 'rolldown.cjs')] as const;
  const { warnings } = await build({
    entryPoints: [input],
    outfile: bundles[0],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    logLevel: 'silent',
  });
  expect(warnings).toEqual([]);
  const bundle = await rolldown({ input, platform: 'node' });
  await bundle.write({ file: bundles[1], format: 'cjs', codeSplitting: false });
  await bundle.close();
  return [input, join(folder, 'program.cjs'), ...bundles];
}
