import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ENTRY_FLAGS, startFlags } from '../../src/boundary/reexec.ts';
import { DEFAULT_SOCKET } from '../../src/domain/default-paths.ts';
import {
  buildFromDockerfile,
  NODE_BASE,
  NODE_IN_IMAGE,
  RESOLVER_IMAGE,
  resolverImage,
} from '../support/images.ts';
import { describeWithPodman, Podman } from '../support/podman.ts';
import { IMAGE_ENVIRONMENT } from '../support/product.ts';

/** An image build fetches packages where npm's cache is cold. In milliseconds. */
const BUILD_TIMEOUT_MS = 300_000;

/** What would serve somebody who got into the container: shells, interpreters, fetchers, package managers. */
const TOOLS =
  /^(sh|ash|bash|dash|zsh|ksh|busybox|env|npm|npx|corepack|yarn|pnpm|apt|apt-get|dpkg|apk|rpm|tsc|perl|python[\d.]*|curl|wget|su|sudo|setpriv)$/;

/** As much as a pod's securityContext takes away. */
const RESTRICTED = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--network=none'];

/** Packages of the image, besides koffi's addon for the architecture. */
const CARRIED = [
  '@bufbuild/protobuf',
  '@grpc/grpc-js',
  '@js-sdsl/ordered-map',
  '@peculiar/asn1-asym-key',
  '@peculiar/asn1-cms',
  '@peculiar/asn1-csr',
  '@peculiar/asn1-ecc',
  '@peculiar/asn1-pfx',
  '@peculiar/asn1-pkcs8',
  '@peculiar/asn1-pkcs9',
  '@peculiar/asn1-rsa',
  '@peculiar/asn1-schema',
  '@peculiar/asn1-x509',
  '@peculiar/asn1-x509-attr',
  '@peculiar/asn1-x509-post-quantum',
  '@peculiar/utils',
  '@peculiar/x509',
  '@pinojs/redact',
  'asn1js',
  'atomic-sleep',
  'chokidar',
  'commander',
  'diff',
  'koffi',
  'on-exit-leak-free',
  'pino',
  'pino-std-serializers',
  'pvtsutils',
  'pvutils',
  'quick-format-unescaped',
  'readdirp',
  'reflect-metadata',
  'safe-stable-stringify',
  'smol-toml',
  'sonic-boom',
  'thread-stream',
  'tslib',
  'tsyringe',
  'tsyringe/node_modules/tslib',
  'yaml',
  'zod',
];

/** What a file loads by name: `require('x')`, `import('x')`, `from 'x'`, `import 'x'`. */
const LOADED = /(?:\b(?:require|import)\s*\(\s*|\bfrom\s+|\bimport\s+)['"]([^'"./][^'"]*)['"]/g;

interface LockedPackage {
  readonly version: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
}

interface Sbom {
  readonly bomFormat: string;
  readonly components: readonly {
    readonly name: string;
    readonly version: string;
    readonly properties?: readonly { readonly name: string }[];
  }[];
}

describeWithPodman('the image', () => {
  let podman: Podman;
  let all: readonly string[];
  let added: readonly string[];

  beforeAll(async () => {
    podman = await Podman.open();
    await resolverImage(podman);
    all = await listImage(podman, RESOLVER_IMAGE);
    const base = new Set(await listImage(podman, NODE_BASE));
    added = all.filter((path) => !base.has(path));
  }, BUILD_TIMEOUT_MS);

  afterAll(() => podman?.[Symbol.asyncDispose](), BUILD_TIMEOUT_MS);

  it('has no shell, no package manager and no other tool', () => {
    expect(all.filter((path) => TOOLS.test(basename(path)))).toEqual([]);
  });

  it('adds the package, its compiled code, one command and a name for node, and nothing else', () => {
    expect(added.filter((path) => !path.startsWith('app/'))).toEqual(['usr/local/bin/secret-resolver']);
    const kinds = new Set(
      added.map(
        (path) => /\.(js|cjs|mjs|json|node|proto)$|\/(licen[cs]e|notice)[^/]*$/i.exec(path)?.[0] ?? path,
      ),
    );
    expect([...kinds].filter((kind) => kind.startsWith('app/'))).toEqual([
      'app/dist/load-config.cache',
      'app/dist/serve.cache',
      'app/node',
    ]);
    expect(added).toContain('app/dist/main.js');
    expect(added.filter((path) => path.startsWith('app/dist/') && !path.endsWith('.js'))).toEqual([
      'app/dist/load-config.cache',
      'app/dist/load-config.cjs',
      'app/dist/serve.cache',
      'app/dist/serve.cjs',
      'app/dist/start.cjs',
    ]);
  });

  it('has no file that can be run or changed, but for the command', async () => {
    const root = await podman.mountImage(RESOLVER_IMAGE);
    const modes = added
      .filter((path) => path.startsWith('app/'))
      .map((path) => ({
        path,
        uid: lstatSync(join(root, path)).uid,
        mode: lstatSync(join(root, path)).mode & 0o7777,
      }))
      .filter(({ uid, mode }) => uid !== 0 || mode !== 0o644);
    expect(modes).toEqual([
      { path: 'app/dist/main.js', uid: 0, mode: 0o755 },
      // A link, whose own mode means nothing.
      { path: 'app/node', uid: 0, mode: 0o777 },
    ]);
    expect(readlinkSync(join(root, 'app/node'))).toBe(NODE_IN_IMAGE);
  });

  it('carries these packages, each as it is locked, and no other', () => {
    const present = installedPackages(added);
    expect(present.map((path) => path.replace(/^node_modules\//, '')).sort()).toEqual(
      [...CARRIED, `@koromix/koffi-linux-${process.arch}`].sort(),
    );
    const locked = lockedPackages();
    const development = present.filter((path) => locked.get(path)?.dev !== undefined || !locked.has(path));
    expect(development).toEqual([]);
    const addon = `app/node_modules/@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;
    expect(added.filter((path) => path.endsWith('.node'))).toEqual([addon]);
    expect(added.filter((path) => /\/(test|specs|benchmarks|examples|fixtures)\//.test(path))).toEqual([]);
  });

  it('leaves out of the locked production dependencies what it says, and nothing else', () => {
    const present = new Set(installedPackages(added));
    const missing = [...lockedPackages()]
      .filter(([path, { dev }]) => !dev && !present.has(path) && !path.includes('@koromix/'))
      .map(([path]) => path.replace(/^node_modules\//, ''));
    const said = leftOut();
    expect(missing.filter((name) => !said.some((entry) => isBelow(name, entry)))).toEqual([]);
    expect(said.filter((entry) => !missing.some((name) => isBelow(name, entry)))).toEqual([]);
  });

  it('would load what is left out in these files alone, which are for what we do not use', async () => {
    const root = await podman.mountImage(RESOLVER_IMAGE);
    const said = leftOut();
    const found = added
      .filter((path) => /^app\/node_modules\/.*\.[cm]?js$/.test(path))
      .flatMap((path) =>
        [...readFileSync(join(root, path), 'utf8').matchAll(LOADED)]
          .map(([, name = '']) => name)
          .filter((name) => said.some((entry) => isBelow(name, entry)))
          .map((name) => `${path.slice('app/node_modules/'.length)}: ${name}`),
      );
    expect(found).toEqual([
      // Only in a function each, that registers channelz or asks for ORCA.
      '@grpc/grpc-js/build/src/channelz.js: @grpc/proto-loader',
      '@grpc/grpc-js/build/src/orca.js: @grpc/proto-loader',
      // Files that are started in a worker, or that nothing requires.
      'pino/lib/deprecations.js: process-warning',
      'pino/lib/transport-stream.js: real-require',
      'pino/lib/worker.js: pino-abstract-transport',
      'thread-stream/lib/worker.js: real-require',
    ]);
    const used = added
      .filter((path) => /^app\/dist\/.*\.js$/.test(path))
      .filter((path) =>
        /getChannelzServiceDefinition|addAdminServicesToServer|Orca|ServerMetricRecorder|\btransport\b *[:(]/.test(
          readFileSync(join(root, path), 'utf8'),
        ),
      );
    expect(used).toEqual([]);
  });

  it('is described by the SBOM: each package in it, by name and version, none marked as for development', async () => {
    const { stdout } = await execa('npm', ['run', '-s', 'sbom']);
    const sbom = JSON.parse(stdout) as Sbom;
    expect(sbom.bomFormat).toBe('CycloneDX');
    const listed = new Set(
      sbom.components
        .filter(({ properties }) => !properties?.some(({ name }) => name === 'cdx:npm:package:development'))
        .map(({ name, version }) => `${name}@${version}`),
    );
    const locked = lockedPackages();
    const carried = installedPackages(added).map(
      (path) => `${path.slice(path.lastIndexOf('node_modules/') + 13)}@${locked.get(path)?.version}`,
    );
    expect(carried.length).toBeGreaterThan(10);
    expect(carried.filter((name) => !listed.has(name))).toEqual([]);
  });

  it('runs as 10771, serves by default, and says what it is', async () => {
    const { Config } = await podman.inspectImage(RESOLVER_IMAGE);
    expect(Config.User).toBe('10771:10771');
    // Node takes most of its flags on its command line alone, so the image has them all there.
    expect(Config.Entrypoint).toEqual([
      '/app/node',
      ...startFlags({ socket: { path: DEFAULT_SOCKET }, audit: { path: undefined } }),
      ...ENTRY_FLAGS,
      '/app/dist/start.cjs',
    ]);
    expect(Config.Cmd).toEqual(['serve', '--config', '/etc/secret-resolver/config.yaml']);
    expect(Config.Env.filter((line) => line.startsWith('NODE_'))).toEqual(['NODE_ENV=production']);
    for (const [name, value] of Object.entries(IMAGE_ENVIRONMENT))
      expect(Config.Env).toContain(`${name}=${value}`);
    expect(Config.Labels).toMatchObject({
      'org.opencontainers.image.title': 'mounted-secret-resolver',
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.version': version(),
      'org.opencontainers.image.base.name': NODE_BASE,
    });
  });

  it('answers in a container without a writable file, a capability or a network', async () => {
    const { stdout } = await podman.run(['run', '--rm', ...RESTRICTED, RESOLVER_IMAGE, '--version']);
    expect(stdout.trim()).toBe(version());
    const command = ['--entrypoint=/usr/local/bin/secret-resolver', RESOLVER_IMAGE, '--version'];
    expect((await podman.run(['run', '--rm', ...RESTRICTED, ...command])).stdout.trim()).toBe(version());
    const script = `console.log(process.getuid(), process.getgid(), process.version);
      await import('/app/dist/native/native.js'); console.log('native part loaded');`;
    const node = [`--entrypoint=${NODE_IN_IMAGE}`, RESOLVER_IMAGE, '--input-type=module', '-e', script];
    const run = await podman.run(['run', '--rm', ...RESTRICTED, ...node]);
    expect(run.stdout).toMatch(/^10771 10771 v\d+/);
    expect(run.stdout).toContain('native part loaded');
  });

  it('comes out the same when it is built again, but for the compiled code', {
    timeout: BUILD_TIMEOUT_MS,
  }, async () => {
    const { RootFS: first } = await podman.inspectImage(RESOLVER_IMAGE);
    await buildFromDockerfile(podman, { tag: 'localhost/again:test' });
    const { RootFS: second } = await podman.inspectImage('localhost/again:test');
    // V8 compiles to other bytes each time: the last layer has that one file.
    expect(second.Layers).toHaveLength(first.Layers.length);
    expect(second.Layers.slice(0, -1)).toEqual(first.Layers.slice(0, -1));
  });

  it('takes the native part for arm64 where it is built for arm64', {
    timeout: BUILD_TIMEOUT_MS,
  }, async () => {
    // All that the Dockerfile adds but the compiled code, which is an arm64 base's.
    const tag = 'localhost/tree:arm64';
    await buildFromDockerfile(podman, { tag, platform: 'linux/arm64', target: 'tree', cached: true });
    const files = (await listImage(podman, tag)).filter((path) => path.startsWith('out/'));
    const native = files.filter((path) => path.endsWith('.node'));
    expect(native).toContain('out/app/node_modules/@koromix/koffi-linux-arm64/linux_arm64/koffi.node');
    const root = await podman.mountImage(tag);
    // ELF's e_machine; 183 is AArch64.
    expect(native.map((path) => readFileSync(join(root, path)).readUInt16LE(18))).toEqual(
      native.map(() => 183),
    );
  });
});

/** Paths of all files and links of an image, relative to its root, sorted. */
async function listImage(podman: Podman, tag: string): Promise<string[]> {
  const root = await podman.mountImage(tag);
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}

/** Folders of the packages in the image, as package-lock.json names them. */
function installedPackages(paths: readonly string[]): string[] {
  return paths
    .map((path) => /^app\/((?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/@]+)\/package\.json$/.exec(path)?.[1])
    .filter((path) => path !== undefined);
}

/** Packages and scopes that the image leaves out, as the Dockerfile reads them. */
function leftOut(): string[] {
  return readFileSync('deploy/image/left-out.txt', 'utf8')
    .split('\n')
    .filter((line) => /^[^#]/.test(line));
}

/** Whether a package, or a path in it, is the named one or is of the named scope. */
function isBelow(name: string, entry: string): boolean {
  return name === entry || name.startsWith(`${entry}/`);
}

function lockedPackages(): Map<string, LockedPackage> {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  return new Map(Object.entries(lock.packages).filter(([path]) => path !== ''));
}

function version(): string {
  return (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
}
