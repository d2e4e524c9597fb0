/** Where the demo takes place: its folder, mounts and configuration. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { CommandContext } from '../../src/cli/context.ts';
import { ExitCode } from '../../src/domain/errors.ts';
import { readMounts } from '../../src/domain/mountinfo.ts';

export const NAMESPACE = 'tenant-nvbugs-prod';
export const SECRET = 'nvbugs-provider-credentials';
/** UIDs of the parties, if they can have separate ones. */
export const RESOLVER_UID = 10_771;
export const SUPERVISOR_UID = 20_771;
export const AGENT_UID = 1_000;
/** Set inside the demo's own mount namespace, which is created once. */
export const INSIDE = 'SECRET_RESOLVER_DEMO_INSIDE';

/** The paths of one demo. */
export interface Stage {
  readonly root: string;
  readonly isolated: boolean;
  readonly node: string;
  readonly app: string;
  readonly kubelet: string;
  readonly secretPath: string;
  readonly socket: string;
  readonly config: string;
  /** For the supervisor alone. */
  readonly private: string;
  /** Written by the supervisor, read by the agent. */
  readonly ca: string;
}

/** Runs the demo again in its own mount namespace, so that its mounts disappear however it exits. */
export async function insideOwnMounts(context: CommandContext): Promise<void> {
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    {
      env: { ...process.env, [INSIDE]: '1' },
      stdio: 'inherit',
    },
  );
  const forward = () => child.kill('SIGTERM');
  context.signal.addEventListener('abort', forward);
  const code = await new Promise<number>((done) => child.once('close', (status) => done(status ?? 1)));
  context.signal.removeEventListener('abort', forward);
  context.exit(code === 0 ? ExitCode.ok : ExitCode.refused);
}

function mount(...args: string[]): void {
  const done = spawnSync('mount', args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`mount ${args.join(' ')}: ${done.stderr}`);
}

/** Unmounts and removes. What is still mounted is the checkout itself: then nothing is removed. */
export function cleanUp(root: string): void {
  for (const name of ['kubelet', 'app/src', 'app/examples', 'app/node_modules', 'node'])
    spawnSync('umount', ['--lazy', join(root, name)], { stdio: 'ignore' });
  if (readMounts().some(({ mountPoint }) => mountPoint.startsWith(`${root}/`))) return;
  rmSync(root, { recursive: true, force: true });
}

export function prepare(root: string, isolated: boolean): Stage {
  chmodSync(root, 0o755);
  const own = join(import.meta.dirname, '../..');
  const run = join(root, 'run');
  const stage: Stage = {
    root,
    isolated,
    // A checkout in a private home can be reached by us and not by the parties: they see it through a mount.
    node: isolated ? join(root, 'node') : process.execPath,
    app: isolated ? join(root, 'app') : own,
    kubelet: join(root, 'kubelet'),
    secretPath: join(root, 'secrets', NAMESPACE, SECRET),
    socket: join(run, 'socket', 'resolver.sock'),
    config: join(root, 'config.yaml'),
    private: join(run, 'egress'),
    ca: join(run, 'ca'),
  };
  mkdirSync(run);
  for (const [path, mode, uid] of [
    [join(run, 'socket'), 0o755, RESOLVER_UID],
    [stage.private, 0o700, SUPERVISOR_UID],
    [stage.ca, 0o755, SUPERVISOR_UID],
  ] as const) {
    mkdirSync(path, { mode });
    if (isolated) chownSync(path, uid, uid);
  }
  mkdirSync(stage.secretPath, { recursive: true });
  if (isolated) {
    exposeTree(own, stage.app);
    writeFileSync(stage.node, '');
    mkdirSync(stage.kubelet, { mode: 0o700 });
    mount('--bind', process.execPath, stage.node);
    mount('-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', stage.kubelet);
  }
  return stage;
}

/** Code and packages, each mounted for itself: the folder that holds them may be closed to everybody but its owner. */
function exposeTree(own: string, app: string): void {
  mkdirSync(app);
  copyFileSync(join(own, 'package.json'), join(app, 'package.json'));
  for (const folder of ['src', 'examples', 'node_modules']) {
    mkdirSync(join(app, folder));
    mount('--bind', join(own, folder), join(app, folder));
  }
}

/** Writes the resolver's configuration; `rest` is what the supervisor adds to it. */
export function writeConfiguration(stage: Stage, endpoints: readonly object[], rest: object): void {
  const uid = process.geteuid?.() ?? 0;
  const providers = join(stage.root, 'providers');
  mkdirSync(providers);
  const source = { type: 'kubernetesSecret', namespace: NAMESPACE, name: SECRET };
  writeFileSync(
    join(providers, 'gitlab.yaml'),
    stringify({
      provider: {
        name: 'nvbugs-gitlab',
        type: 'gitlab',
        endpoints,
        credentials: { GITLAB_TOKEN: { source: { ...source, key: 'gitlab-token' } } },
      },
    }),
  );
  writeFileSync(
    stage.config,
    stringify({
      sandbox: { id: 'demo-sandbox', name: 'demo', namespace: NAMESPACE },
      secretsRoot: join(stage.root, 'secrets'),
      providersDir: providers,
      socket: { path: stage.socket, mode: '0666' },
      callers: [{ name: 'supervisor', uid: stage.isolated ? SUPERVISOR_UID : uid, providers: ['*'] }],
      // What a container runtime sets and this demo cannot: all other checks hold as in a pod.
      ...(stage.isolated ? { boundary: { warn: ['self-seccomp'] } } : {}),
      // Without root all parties share our UID, and the configuration refuses an agent that is a caller too.
      agent: { uid: stage.isolated ? AGENT_UID : uid === AGENT_UID ? AGENT_UID + 1 : AGENT_UID },
      ...rest,
    }),
  );
}

/** The volume is mounted only in the resolver's namespace. */
export function mountsOf(party: 'resolver' | 'other', stage: Stage): string[] {
  const quote = (text: string) => `'${text}'`;
  if (party === 'other') return [`umount --lazy ${quote(stage.kubelet)}`];
  const run = quote(join(stage.root, 'run'));
  return [
    `mount --bind ${quote(stage.kubelet)} ${quote(stage.secretPath)}`,
    `mount -o remount,bind,ro,nosuid,nodev,noexec ${quote(stage.secretPath)}`,
    `umount --lazy ${quote(stage.kubelet)}`,
    // The folder of the socket stays writable; the root file system around it does not.
    `mount --bind ${run} ${run}`,
    'mount -o remount,bind,ro /',
  ];
}
