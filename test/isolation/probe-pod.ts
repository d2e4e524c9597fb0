/**
 * PID 1 of a pod for tests. Runs as root in PID, mount and network namespaces of its own, which `unshare` made for
 * it: builds a root file system for each container, starts the victim in one and the probe in the other, and prints
 * what came of it as JSON.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { dirname, join, relative } from 'node:path';
import { type SecretData, SecretVolume } from '../support/secret-volume.ts';
import { newSecret } from '../support/secrets.ts';
import {
  type PodResult,
  type PodSpec,
  SECRET_MOUNT,
  SECRETS_ROOT,
  SOCKET_PATH,
  SOCKET_VOLUME,
} from './probe-pod-spec.ts';

/** Exists everywhere and is empty; in this mount namespace it is ours. */
const BASE = '/srv';
const REPOSITORY = process.cwd();
const TOKEN_FOLDER = '/run/secrets/kubernetes.io/serviceaccount';

interface Volume {
  readonly from: string;
  readonly at: string;
  readonly readOnly: boolean;
}

function mount(...words: string[]): void {
  execFileSync('mount', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function tmpfs(path: string, options: string): void {
  mkdirSync(path, { recursive: true });
  mount('-t', 'tmpfs', '-o', options, 'tmpfs', path);
}

function bind(from: string, to: string, readOnly: boolean): void {
  mount('--bind', from, to);
  if (readOnly) mount('-o', 'remount,bind,ro', to);
}

/** A container's root: the machine's programs, our package at /app, a /tmp of its own, the pod's /proc. Read-only. */
function containerRoot(name: string, volumes: readonly Volume[]): string {
  const root = join(BASE, name);
  tmpfs(root, 'mode=755');
  for (const folder of ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64']) {
    if (!existsSync(folder)) continue;
    if (lstatSync(folder).isSymbolicLink()) {
      symlinkSync(readlinkSync(folder), join(root, folder));
    } else {
      mkdirSync(join(root, folder));
      bind(folder, join(root, folder), true);
    }
  }
  for (const folder of ['proc', 'dev', 'etc', 'run', 'var', 'app']) mkdirSync(join(root, folder));
  symlinkSync('../run', join(root, 'var/run'));
  if (existsSync('/etc/ld.so.cache')) copyFileSync('/etc/ld.so.cache', join(root, 'etc/ld.so.cache'));
  writeFileSync(join(root, 'node'), '');
  bind(process.execPath, join(root, 'node'), true);
  bind(REPOSITORY, join(root, 'app'), true);
  bind('/proc', join(root, 'proc'), false);
  for (const device of ['null', 'zero', 'urandom']) {
    writeFileSync(join(root, 'dev', device), '');
    bind(join('/dev', device), join(root, 'dev', device), false);
  }
  tmpfs(join(root, 'tmp'), 'mode=1777');
  for (const { from, at, readOnly } of volumes) {
    mkdirSync(join(root, at), { recursive: true });
    bind(from, join(root, at), readOnly);
  }
  mount('-o', 'remount,ro', root);
  return root;
}

/** A tmpfs as kubelet makes it, with its files given to a UID. */
function kubeletVolume(name: string, content: SecretData, owner: number, mode: number): string {
  const path = join(BASE, 'volumes', name);
  tmpfs(path, 'mode=755');
  new SecretVolume(path).write(content, mode);
  execFileSync('chown', ['-R', String(owner), path]);
  return path;
}

interface StartOptions {
  readonly env: Record<string, string>;
  readonly inherit?: net.Socket | undefined;
  /** Flags of unshare besides those of the mount namespace. */
  readonly namespaces?: readonly string[];
}

/** Starts a program in a container, under a UID, with no capabilities but those named. */
function startIn(
  root: string,
  identity: { readonly uid: number; readonly capabilities: readonly string[] },
  words: readonly string[],
  options: StartOptions,
): ChildProcess {
  const kept = identity.capabilities.map((capability) => `+${capability}`);
  const capabilities = ['-all', ...kept].join(',');
  const privileges = [
    `--reuid=${identity.uid}`,
    `--regid=${identity.uid}`,
    '--clear-groups',
    '--no-new-privs',
    `--inh-caps=${capabilities}`,
    `--ambient-caps=${capabilities}`,
    `--bounding-set=${capabilities}`,
  ];
  return spawn(
    'unshare',
    [
      ...['--mount', '--propagation', 'private', ...(options.namespaces ?? [])],
      ...[`--root=${root}`, '--wd=/', 'setpriv', ...privileges, ...words],
    ],
    {
      env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe', ...(options.inherit === undefined ? [] : [options.inherit])],
    },
  );
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = '';
  if (stream !== null) for await (const chunk of stream) text += String(chunk);
  return text;
}

/** Resolves at the first line of output; rejects with what a process said that ended before. */
async function ready(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let complaint = '';
  child.stderr?.on('data', (chunk) => {
    complaint += String(chunk);
  });
  child.stdout?.once('data', () => resolve());
  child.once('close', () => reject(new Error(`the victim ended: ${complaint}`)));
  return promise;
}

/** Whether a connection by root is answered, by bytes or by its end, within two seconds. */
async function answers(path: string): Promise<boolean> {
  const socket = net.connect(path);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.setTimeout(2000, () => resolve(false));
  socket.on('data', () => resolve(true));
  socket.on('end', () => resolve(true));
  socket.on('error', () => resolve(false));
  const answered = await promise;
  socket.destroy();
  return answered;
}

/** A connection of the supervisor's that it has not read from. */
async function openConnection(path: string): Promise<net.Socket> {
  const socket = net.connect(path);
  socket.pause();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on('connect', resolve);
  socket.on('error', reject);
  await promise;
  return socket;
}

/** The program in the resolver's container. */
function victimWords(spec: PodSpec): string[] {
  if (spec.listener === 'serve') {
    return [
      '/node',
      '/app/src/main.ts',
      'serve',
      '--config',
      '/etc/secret-resolver/config.yaml',
      '--relaxed',
    ];
  }
  const socketPath = spec.listener === 'victim' ? SOCKET_PATH : undefined;
  return [
    '/node',
    ...(spec.victim.inspector ? ['--inspect=127.0.0.1:9229'] : []),
    '/app/test/isolation/probe-victim.ts',
    JSON.stringify({ ...spec.victim, socketPath }),
    ...(spec.victim.credentialInArguments ? [newSecret('glpat')] : []),
  ];
}

/** What the real resolver needs besides the Secret: a configuration that lists root as its one caller. */
function writeConfiguration(spec: PodSpec): string {
  const path = join(BASE, 'volumes', 'config');
  tmpfs(path, 'mode=755');
  mkdirSync(join(path, 'providers'));
  const secret = { type: 'kubernetesSecret', namespace: 'tenant', name: 'app' };
  const provider = {
    name: 'gitlab',
    type: 'custom',
    endpoints: [{ host: 'gitlab.example.com', port: 443 }],
    credentialsFrom: [{ source: secret, mode: 'allKeys' }],
  };
  writeFileSync(join(path, 'providers/gitlab.yaml'), JSON.stringify({ provider }));
  const config = {
    sandbox: { id: 'sandbox-0001', name: 'sandbox', namespace: 'tenant' },
    secretsRoot: SECRETS_ROOT,
    providersDir: '/etc/secret-resolver/providers',
    socket: { path: SOCKET_PATH, mode: '0666' },
    callers: [{ name: 'supervisor', uid: 0, providers: ['*'] }],
    agent: { uid: spec.agent.uid },
    health: { listen: '127.0.0.1:8086' },
  };
  writeFileSync(join(path, 'config.yaml'), JSON.stringify(config));
  return path;
}

/** All that `watch` prints when it gets one snapshot and then nothing: no second one, no reconnection, no complaint. */
const FIRST_SNAPSHOT =
  /^\S+ revision [0-9]+: 2 served, 0 refused\n\S+ +loaded gitlab:GITLAB_TOKEN\n\S+ +loaded gitlab:OTHER\n$/;

/** A `watch` of the supervisor's that nothing may interrupt, and a `get` after the probe. */
function superviseFrom(socket: string) {
  const main = join(REPOSITORY, 'src/main.ts');
  const watch = spawn(process.execPath, [main, 'watch', '--socket', socket], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let told = '';
  for (const stream of [watch.stdout, watch.stderr]) {
    stream.on('data', (chunk) => {
      told += String(chunk);
    });
  }
  return {
    ready: () => ready(watch),
    served: () => {
      const got = execFileSync(process.execPath, [main, 'get', '--socket', socket], {
        encoding: 'utf8',
        timeout: 10_000,
      });
      return got.includes('GITLAB_TOKEN') && watch.exitCode === null && FIRST_SNAPSHOT.test(told);
    },
  };
}

/** A socket file that nobody listens on, as a killed resolver leaves it. */
function leaveDeadSocket(path: string): void {
  const script = `require('node:net').createServer().listen({ path: process.argv[1], writableAll: true }, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script, path]);
}

async function main(spec: PodSpec): Promise<PodResult> {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  tmpfs(BASE, 'mode=755');
  const content = { GITLAB_TOKEN: newSecret('glpat'), OTHER: newSecret() };
  const secrets = kubeletVolume('secrets', content, spec.victim.uid, spec.secretMode);
  const token = kubeletVolume('token', { token: newSecret('token'), namespace: 'tenant' }, 0, 0o444);
  const shared = join(BASE, 'volumes', 'socket');
  tmpfs(shared, 'mode=777');
  const socket = join(shared, relative(SOCKET_VOLUME, SOCKET_PATH));
  mkdirSync(dirname(socket), { recursive: true });
  chownSync(dirname(socket), spec.socketFolder.uid, spec.socketFolder.uid);
  chmodSync(dirname(socket), spec.socketFolder.mode);

  const resolver = containerRoot('resolver', [
    { from: shared, at: SOCKET_VOLUME, readOnly: false },
    { from: secrets, at: SECRET_MOUNT, readOnly: true },
    { from: writeConfiguration(spec), at: '/etc/secret-resolver', readOnly: true },
  ]);
  const agent = containerRoot('agent', [
    { from: shared, at: SOCKET_VOLUME, readOnly: !spec.agent.socketVolumeWritable },
    ...(spec.agent.secretMountedAt === undefined
      ? []
      : [{ from: secrets, at: spec.agent.secretMountedAt, readOnly: true }]),
    ...(spec.agent.serviceAccountToken ? [{ from: token, at: TOKEN_FOLDER, readOnly: true }] : []),
  ]);

  const started = startIn(resolver, { uid: spec.victim.uid, capabilities: [] }, victimWords(spec), {
    env: { VICTIM_SECRET: newSecret() },
  });
  await ready(started);
  if (spec.listener === 'dead') leaveDeadSocket(socket);
  const supervisor = spec.listener === 'serve' ? superviseFrom(socket) : undefined;
  await supervisor?.ready();
  if (spec.agent.credentialInFile)
    writeFileSync(join(agent, 'tmp/.netrc'), `\npassword ${newSecret('glpat')}\n`);
  const identity = () => lstatSync(socket, { throwIfNoEntry: false })?.ino;
  const inode = identity();
  const before = everything(shared);

  const inherit = spec.agent.inheritsConnection ? await openConnection(socket) : undefined;
  const probe = startIn(agent, spec.agent, ['/node', '/app/src/main.ts', 'probe', ...spec.probeArguments], {
    env: spec.agent.credentialInEnvironment ? { GITLAB_TOKEN: newSecret('glpat') } : {},
    inherit,
    namespaces: spec.agent.ownPidNamespace ? ['--pid', '--fork', '--mount-proc=/proc'] : [],
  });
  const ended = Promise.withResolvers<number>();
  probe.on('close', (code) => ended.resolve(code ?? -1));
  const [stdout, stderr, exitCode] = await Promise.all([
    textOf(probe.stdout),
    textOf(probe.stderr),
    ended.promise,
  ]);
  inherit?.destroy();
  return {
    exitCode,
    stdout,
    stderr,
    socketIntact: identity() === inode && (await answers(socket)),
    supervisorServed: supervisor?.served() ?? false,
    leftBehind: everything(shared).filter((path) => !before.includes(path)),
  };
}

function everything(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' });
}

const result = await main(JSON.parse(process.argv[2] ?? '') as PodSpec);
process.stdout.write(JSON.stringify(result), () => process.exit(0));
