/**
 * The foreign clients, and how to build each with packages from its own registry. Builds are kept in one folder outside
 * the repository, so that a second run compiles nothing.
 */
import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { find } from '../support/podman.ts';
import { ARTIFACTS } from '../support/secrets.ts';

export const CACHE =
  process.env.INTEROP_CACHE ?? join(homedir(), '.cache', 'mounted-secret-resolver', 'interop');
/** Where cargo builds. */
export const CARGO_TARGET = process.env.CARGO_TARGET_DIR ?? join(CACHE, 'rust');
const ROOT = resolve(import.meta.dirname, '../..');
const CLIENTS = join(ROOT, 'examples');
/** Milliseconds for a first build, which may download and compile a hundred packages. */
const BUILD_TIMEOUT_MS = 280_000;

export interface Toolchain {
  readonly name: string;
  /** The `:authority` that this client sends. Each client has its own, and none comes from us. */
  readonly authority: string;
  /** What this machine lacks; undefined if nothing. */
  readonly missing: () => Promise<string | undefined>;
  /** Builds the client and returns the command that starts it. */
  readonly build: () => Promise<Command>;
}

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export const TOOLCHAINS: readonly Toolchain[] = [
  {
    name: 'rust',
    // The authority that OpenShell's supervisor sends over its sockets.
    authority: '[::]:50051',
    missing: async () => (find('cargo') === undefined ? 'cargo' : undefined),
    build: async () => {
      await cargo('build', '--workspace', '--examples', '--bins');
      return { program: join(CARGO_TARGET, 'debug/interop-client'), args: [], env: {} };
    },
  },
  {
    name: 'go',
    authority: 'localhost',
    missing: async () => (find('go') === undefined ? 'go' : undefined),
    build: async () => {
      const folder = join(CLIENTS, 'go');
      const program = join(CACHE, 'go', 'interop-client');
      await step('buf', [
        'generate',
        '--template',
        join(folder, 'buf.gen.yaml'),
        '--path',
        'proto/secretresolver',
        '--path',
        'proto/openshell/credentials',
      ]);
      await step('go', ['build', '-o', program, '.'], folder);
      return { program, args: [], env: {} };
    },
  },
  {
    name: 'python',
    authority: 'resolver.sandbox.internal:443',
    missing: async () => {
      if (find('python3') === undefined) return 'python3';
      const { failed } = await execa('python3', ['-c', 'import venv, ensurepip'], { reject: false });
      return failed ? "python3's venv" : undefined;
    },
    build: async () => {
      const folder = join(CLIENTS, 'python');
      const program = join(CACHE, 'python', 'bin', 'python');
      if (!existsSync(program)) await step('python3', ['-m', 'venv', join(CACHE, 'python')]);
      await step(program, [
        '-m',
        'pip',
        'install',
        '--quiet',
        '--requirement',
        join(folder, 'requirements.txt'),
      ]);
      const stubs = join(folder, 'stubs');
      mkdirSync(stubs, { recursive: true });
      const outputs = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
      await step(program, [
        '-m',
        'grpc_tools.protoc',
        '-I',
        'proto',
        ...outputs,
        'secretresolver/v1/resolver.proto',
      ]);
      return {
        program,
        args: [join(folder, 'client.py')],
        env: { PYTHONPATH: stubs, PYTHONDONTWRITEBYTECODE: '1' },
      };
    },
  },
];

/** Runs cargo in examples/rust, once at a time: two test files need it. */
export async function cargo(...args: readonly string[]): Promise<void> {
  const folder = join(CLIENTS, 'rust');
  const stubs = join(folder, 'resolver-environment/stubs');
  mkdirSync(stubs, { recursive: true });
  mkdirSync(CARGO_TARGET, { recursive: true });
  const lock = ['flock', join(CARGO_TARGET, 'resolver.lock')] as const;
  const descriptors = ['build', '--path', 'proto/secretresolver', '--output', join(stubs, 'resolver.binpb')];
  await step(lock[0], [lock[1], 'buf', ...descriptors]);
  await step(lock[0], [lock[1], 'cargo', ...args, '--locked', '--quiet'], folder, {
    CARGO_TARGET_DIR: CARGO_TARGET,
  });
}

/** One build step. Its output is kept, and shown on failure. */
export async function step(
  program: string,
  args: readonly string[],
  cwd = ROOT,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  mkdirSync(CACHE, { recursive: true });
  const { all, failed, shortMessage } = await execa(program, args, {
    cwd,
    env: { PIP_DISABLE_PIP_VERSION_CHECK: '1', ...env },
    all: true,
    reject: false,
    preferLocal: true,
    localDir: ROOT,
    timeout: BUILD_TIMEOUT_MS,
  });
  appendFileSync(join(ARTIFACTS, 'interop-build.log'), `# ${program} ${args.join(' ')}\n${all}\n`);
  if (failed) throw new Error(`${shortMessage}\n${all?.slice(-4000)}`);
}
