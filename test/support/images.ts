/**
 * Images for tests. A base is a tree: a program, the libraries that it names, and the few files of /etc that a
 * process expects, all taken from this machine, so that no image registry is asked. The resolver's own image is
 * built on such bases by the repository's Dockerfile.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { type BuildOptions, find, type Podman } from './podman.ts';
import { RUN_DIRECTORY } from './secrets.ts';

/** Name under which `resolverImage` leaves the resolver's image. */
export const RESOLVER_IMAGE = 'localhost/mounted-secret-resolver:test';

/** What test images are built from: our own bases in place of the Dockerfile's public ones. */
export const BUILD_BASE = 'localhost/build-base:test';
export const NODE_BASE = 'localhost/node-base:test';

/** Where node is in our bases: the place that distroless images have, which the Dockerfile expects. */
export const NODE_IN_IMAGE = '/nodejs/bin/node';

/** Debian's bundle of trusted certificates; a machine behind a proxy has the proxy's in it. */
const CA_BUNDLE = '/etc/ssl/certs/ca-certificates.crt';

const PATH_IN_IMAGE = 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The resolver's image in this podman, built from the Dockerfile, and its base. It is built once in a test run: later callers,
 * also in other test files, load what the first one saved.
 */
export async function resolverImage(podman: Podman): Promise<string> {
  const archive = join(RUN_DIRECTORY, 'resolver-image.tar');
  const turn = `${archive}.turn`;
  // Test files run side by side: one builds, the others wait for it, and for no longer than their hooks may take.
  while (!existsSync(archive) && !takeTurn(turn)) await sleep(500);
  if (existsSync(archive)) {
    await podman.run(['load', '--quiet', '--input', archive]);
    return RESOLVER_IMAGE;
  }
  try {
    await buildAndSave(podman, archive);
  } finally {
    rmdirSync(turn);
  }
  return RESOLVER_IMAGE;
}

/** True for the one who may build; the folder is there as long as somebody does. */
function takeTurn(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

async function buildAndSave(podman: Podman, archive: string): Promise<void> {
  await buildFromDockerfile(podman, { tag: RESOLVER_IMAGE });
  const unfinished = `${archive}.${process.pid}`;
  await podman.run([
    'save',
    '--quiet',
    '--multi-image-archive',
    '--output',
    unfinished,
    RESOLVER_IMAGE,
    NODE_BASE,
  ]);
  renameSync(unfinished, archive);
}

/** Runs the Dockerfile on bases of our own. Returns the image's id. */
export async function buildFromDockerfile(
  podman: Podman,
  options: Pick<BuildOptions, 'tag' | 'platform' | 'target' | 'cached'>,
): Promise<string> {
  if (!(await podman.hasImage(NODE_BASE))) await importNodeBase(podman, NODE_BASE);
  if (!(await podman.hasImage(BUILD_BASE))) await importBuildBase(podman);
  return podman.build({
    ...options,
    context: process.cwd(),
    buildArgs: { BUILD_IMAGE: BUILD_BASE, BASE_IMAGE: NODE_BASE },
    // What `npm ci` fetched for the tests already, it need not fetch again.
    volumes: [`${join(homedir(), '.npm')}:/root/.npm`],
  });
}

/** Imports a base with node and nothing else: no shell, no package manager, as distroless images are. */
export async function importNodeBase(podman: Podman, tag: string): Promise<void> {
  const root = newTree(podman, tag);
  await copyProgram(root, process.execPath, NODE_IN_IMAGE);
  await podman.importTree(root, tag, [PATH_IN_IMAGE]);
}

/** Imports a base for the Dockerfile's build stages: node, npm, busybox's shell and the machine's CA bundle. */
async function importBuildBase(podman: Podman): Promise<void> {
  const root = newTree(podman, BUILD_BASE);
  await copyProgram(root, process.execPath, '/usr/bin/node');
  // All of glibc is in a public image; the bundler's native part needs more of it than node does.
  await copyLibraries(root, rolldownBinding());
  await copyBusybox(root);
  await copyNpm(root);
  await podman.importTree(root, BUILD_BASE, [PATH_IN_IMAGE]);
}

/** Imports an image for an agent or a supervisor in a test: node, curl and busybox's tools with a shell. */
export async function importToolbox(podman: Podman, tag: string): Promise<void> {
  const root = newTree(podman, tag);
  await copyProgram(root, process.execPath, NODE_IN_IMAGE);
  await copyProgram(root, required('curl'), '/usr/bin/curl');
  await copyBusybox(root);
  await podman.importTree(root, tag, [PATH_IN_IMAGE]);
}

/** Imports an image as Envoy's own distroless one is, with the certificates that it trusts. */
export async function importEnvoy(
  podman: Podman,
  tag: string,
  program: string,
  trusted: string,
): Promise<void> {
  const root = newTree(podman, tag);
  await copyProgram(root, program, '/usr/local/bin/envoy');
  mkdirSync(dirname(join(root, CA_BUNDLE)), { recursive: true });
  writeFileSync(join(root, CA_BUNDLE), trusted);
  await podman.importTree(root, tag, [PATH_IN_IMAGE, 'ENTRYPOINT ["/usr/local/bin/envoy"]']);
}

/** A folder with the skeleton of a root file system. */
function newTree(podman: Podman, tag: string): string {
  const root = join(podman.folder, 'trees', tag.replaceAll(/[^a-z0-9]+/g, '-'));
  for (const folder of ['bin', 'etc', 'tmp', 'usr/bin', 'usr/lib', 'usr/local/bin', 'var']) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/sbin/nologin\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  return root;
}

/** Copies a program to `target`, and each library that the dynamic linker would load for it. */
async function copyProgram(root: string, program: string, target: string): Promise<void> {
  copy(program, join(root, target));
  await copyLibraries(root, program);
}

async function copyLibraries(root: string, program: string): Promise<void> {
  // ldd fails on a static program: that one needs nothing.
  const { stdout } = await execa('ldd', [program], { reject: false });
  for (const [library] of stdout.matchAll(/\/\S+/g)) {
    if (library !== program) copy(library, join(root, library));
  }
}

/** Busybox with a link for each of its applets. */
async function copyBusybox(root: string): Promise<void> {
  await copyProgram(root, required('busybox'), '/bin/busybox');
  const { stdout } = await execa('busybox', ['--list']);
  for (const applet of stdout.split('\n').filter((name) => name !== 'busybox')) {
    symlinkSync('busybox', join(root, 'bin', applet));
  }
}

/** npm as this machine has it, with its registry and its CA bundle. */
async function copyNpm(root: string): Promise<void> {
  const cli = realpathSync(required('npm'));
  cpSync(dirname(dirname(cli)), join(root, 'usr/lib/npm'), { recursive: true, dereference: true });
  symlinkSync('../lib/npm/bin/npm-cli.js', join(root, 'usr/bin/npm'));
  symlinkSync('/bin/env', join(root, 'usr/bin/env'));
  const { stdout: registry } = await execa('npm', ['config', 'get', 'registry']);
  const settings = [`registry=${registry}`];
  if (existsSync(CA_BUNDLE)) {
    copy(CA_BUNDLE, join(root, CA_BUNDLE));
    settings.push(`cafile=${CA_BUNDLE}`);
  }
  // npm's global settings are at <prefix>/etc/npmrc, and the prefix is that of the node that runs it: /usr.
  mkdirSync(join(root, 'usr/etc'), { recursive: true });
  writeFileSync(join(root, 'usr/etc/npmrc'), `${settings.join('\n')}\n`);
}

function rolldownBinding(): string {
  const folder = `node_modules/@rolldown/binding-linux-${process.arch}-gnu`;
  const file = readdirSync(folder).find((name) => name.endsWith('.node'));
  if (file === undefined) throw new Error(`${folder} has no native part: run npm ci`);
  return join(folder, file);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(realpathSync(from), to);
}

function required(program: string): string {
  const path = find(program);
  if (path === undefined) throw new Error(`${program} is not on this machine: run .ci/install`);
  return path;
}
