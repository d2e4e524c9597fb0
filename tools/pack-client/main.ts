/**
 * Packs the client library as a package of its own: src/client, what it imports, and nothing else. Run in a checkout;
 * writes the tarball into the folder named on the command line, or into the current one, and prints its path.
 *
 * Name, dependencies and their versions follow from the code and from package.json: none of them is written here.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseSync } from 'oxc-parser';

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly engines: Record<string, string>;
  readonly dependencies: Record<string, string>;
}

const CHECKOUT = resolve(import.meta.dirname, '../..');
const root: Manifest = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'pack-client-'));
try {
  compile();
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest(), null, 2));
  for (const file of ['LICENSE', 'README.md']) copyFileSync(join(CHECKOUT, file), join(folder, file));
  const destination = resolve(process.argv[2] ?? '.');
  const packed = run('npm', 'pack', '--silent', '--pack-destination', destination, folder);
  process.stdout.write(`${join(destination, packed.trim())}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

/** Compiles the entry and what it imports into `dist`, with the settings of the whole package. */
function compile(): void {
  const project = join(folder, 'tsconfig.json');
  const settings = {
    extends: join(CHECKOUT, 'tsconfig.build.json'),
    compilerOptions: {
      rootDir: join(CHECKOUT, 'src'),
      outDir: join(folder, 'dist'),
      typeRoots: [join(CHECKOUT, 'node_modules/@types')],
    },
    include: [],
    files: [join(CHECKOUT, 'src/client/index.ts')],
  };
  writeFileSync(project, JSON.stringify(settings));
  run('tsc', '--project', project);
  rmSync(project);
}

function manifest(): object {
  const names = new Set(globSync('dist/**/*.js', { cwd: folder }).flatMap(packagesOf));
  return {
    name: `${root.name}-client`,
    version: root.version,
    description: 'Client of mounted-secret-resolver: watch credentials, and swap placeholders for them',
    license: root.license,
    type: 'module',
    exports: {
      '.': { types: './dist/client/index.d.ts', default: './dist/client/index.js' },
      './package.json': './package.json',
    },
    sideEffects: false,
    engines: root.engines,
    dependencies: Object.fromEntries([...names].sort().map((name) => [name, versionOf(name)])),
  };
}

/** Names of the packages that a compiled file imports. */
function packagesOf(file: string): string[] {
  const { module } = parseSync(file, readFileSync(join(folder, file), 'utf8'));
  return module.staticImports
    .map(({ moduleRequest }) => moduleRequest.value)
    .filter((request) => !/^(\.|node:)/.test(request) && !builtinModules.includes(request))
    .map((request) => request.split('/', request.startsWith('@') ? 2 : 1).join('/'));
}

function versionOf(name: string): string {
  const version = root.dependencies[name];
  if (version === undefined) throw new Error(`src/client imports ${name}, which package.json does not list`);
  return version;
}

function run(program: string, ...args: readonly string[]): string {
  const path = `${join(CHECKOUT, 'node_modules/.bin')}:${process.env.PATH}`;
  return execFileSync(program, args, {
    cwd: CHECKOUT,
    encoding: 'utf8',
    env: { ...process.env, PATH: path },
  });
}
