/**
 * A pod made of the kernel's own parts: a mount namespace for each container, a PID namespace that is shared
 * or not, tmpfs volumes laid out as kubelet does it, real UIDs and capability sets. What it leaves out of a
 * real pod is the image: all containers see the machine's files.
 *
 * Everything lives below one temporary folder; mounts are made in private namespaces and go with them.
 */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKOUT, NODE } from '../support/checkout.ts';
import { ARTIFACTS, newSecret } from '../support/secrets.ts';

/** A pod that has not answered by then never will, in milliseconds. */
const POD_TIMEOUT_MS = 45_000;

/** First id on the node of a pod with a user namespace. */
const NODE_ID = 200_000;

export const RESOLVER_UID = 10771;
export const AGENT_UID = 1000;

interface Neighbour {
  /** Arguments of setpriv: who it is. */
  readonly identity: string;
  /** A command line that goes on until it is killed; sleep unless set. */
  readonly command?: string;
  /** Starts this many seconds after the others, and writes the time (Unix milliseconds) to the file `started`. */
  readonly afterSeconds?: number;
  /** The seconds begin only once this bash command succeeds. */
  readonly onceTrue?: string;
  /** A line for the uid_map of the user namespace that the command makes. */
  readonly idMap?: string;
  /** Which of the resolver's volumes it has mounted, too. */
  readonly volumes?: 'none' | 'secret' | 'socket' | 'socket-read-only';
}

export interface PodSpec {
  readonly processNamespace: 'own' | 'shared' | 'host';
  /** UIDs of the pod stand for others on the node. */
  readonly userNamespace: boolean;
  /** Arguments of setpriv for the resolver. */
  readonly identity: string;
  readonly seccomp: 'none' | 'allow' | 'stubborn';
  readonly inherit: 'tcp' | 'abstract' | undefined;
  /** A container runtime that is played by what /proc and the kernel say in it; the node's own kernel unless set. */
  readonly runtime: 'gvisor' | undefined;
  readonly readOnlyRoot: boolean;
  readonly nodeFlags: readonly string[];
  /** Lines of `NAME=value` for the resolver; `$SECRET` stands for the mounted value. */
  readonly environment: readonly string[];
  /** Owner and mode of the key files. */
  readonly secretFiles: { readonly owner: string; readonly mode: string };
  /** How the Secret comes to the resolver: bash, run in its container, with SOURCE and TARGET set. */
  readonly mountSecret: string;
  /** Bash that is run in the resolver's container before its root becomes read-only. */
  readonly prepare: string;
  readonly pauseIdentity: string;
  readonly neighbours: readonly Neighbour[];
  /** Lines added to config.yaml. */
  readonly config: string;
  /** What runs in the resolver's container, as arguments of node. */
  readonly program: string;
}

const DROP_ALL = '--bounding-set=-all --inh-caps=-all';

/** setpriv arguments for an ordinary container's process: no capability, no way to one. */
export function unprivileged(uid: number, gid = uid): string {
  return `--reuid ${uid} --regid ${gid} --clear-groups --no-new-privs ${DROP_ALL}`;
}

/** setpriv arguments for root with these capabilities and no others. */
export function rootWith(...capabilities: string[]): string {
  return `--bounding-set=-all,${capabilities.map((name) => `+${name}`).join(',')} --inh-caps=-all --no-new-privs`;
}

/** setpriv arguments for another UID with a capability: what the container runtime's own process is during an exec. */
export const ENTERING =
  '--reuid 4242 --regid 4242 --clear-groups --inh-caps=+sys_ptrace --ambient-caps=+sys_ptrace';

/** Bash for root: one such process after the other. There always is one, and none is there for two seconds. */
export const ENTERING_IN_SUCCESSION = `while :; do setpriv ${ENTERING} sleep 0.5 & sleep 0.2; done`;

/** A pod in which all is well. */
export const GOOD_POD: PodSpec = {
  processNamespace: 'own',
  userNamespace: false,
  identity: unprivileged(RESOLVER_UID),
  seccomp: 'allow',
  inherit: undefined,
  runtime: undefined,
  readOnlyRoot: true,
  nodeFlags: [],
  environment: [],
  secretFiles: { owner: 'root:root', mode: '0444' },
  mountSecret: 'mount --bind "$SOURCE" "$TARGET"; mount -o remount,bind,ro "$TARGET"',
  prepare: '',
  pauseIdentity: unprivileged(65535),
  neighbours: [],
  config: '',
  program: 'app/src/main.ts check --config pod/etc/config.yaml --output json',
};

export interface PodRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the node does to the pod from outside: it gets the pod's first process and the folder of its files. */
type Node = (sandbox: number, folder: string) => Promise<void>;

/** Makes the pod, waits for the resolver's program to end, and takes everything down again. */
export async function runPod(
  name: string,
  spec: PodSpec,
  node?: Node,
  timeoutMs = POD_TIMEOUT_MS,
): Promise<PodRun> {
  const folder = mkdtempSync(join(tmpdir(), 'secret-resolver-pod-'));
  chmodSync(folder, 0o755);
  try {
    writePod(folder, spec);
    const run = await execute(folder, spec, node, timeoutMs);
    appendFileSync(join(ARTIFACTS, `pod-${name}.txt`), `${run.stdout}\n${run.stderr}\n`);
    return run;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The resolver's socket, as its own process sees it. */
export function socketIn(folder: string): string | undefined {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const socket = `/proc/${pid}/root${folder}/pod/run/own/resolver.sock`;
    try {
      const isResolver = readFileSync(`/proc/${pid}/status`, 'utf8').includes(`\nUid:\t${RESOLVER_UID}\t`);
      if (isResolver && statSync(socket).isSocket()) return socket;
    } catch {
      // It has ended, or is no resolver.
    }
  }
  return undefined;
}

function writePod(folder: string, spec: PodSpec): void {
  for (const path of [
    'app',
    'kubelet',
    'socket-volume',
    'pod/etc/providers',
    'pod/run',
    'pod/secrets/tenant/creds',
  ]) {
    mkdirSync(join(folder, path), { recursive: true, mode: 0o755 });
  }
  writeFileSync(join(folder, 'node'), '');
  // Held in a file that only root reads: a value has no place in a script, nor in the arguments of a command.
  writeFileSync(join(folder, 'secret'), newSecret('iso'), { mode: 0o600 });
  writeFileSync(
    join(folder, 'pod/etc/config.yaml'),
    `sandbox: {id: sb-1, name: sandbox, namespace: tenant}
secretsRoot: ${folder}/pod/secrets
providersDir: ${folder}/pod/etc/providers
socket: {path: ${folder}/pod/run/own/resolver.sock}
callers: [{name: supervisor, uid: 0, providers: ["*"]}]
agent: {uid: ${AGENT_UID}, gid: ${AGENT_UID}}
${spec.config}
`,
  );
  writeFileSync(
    join(folder, 'pod/etc/providers/gitlab.yaml'),
    `provider:
  name: gitlab
  type: custom
  credentials:
    GITLAB_TOKEN: {source: {type: kubernetesSecret, name: creds, key: token}}
  endpoints: [{host: gitlab.example}]
`,
  );
  writeFileSync(join(folder, 'pod.sh'), podScript(folder, spec));
  writeFileSync(join(folder, 'resolver.sh'), resolverScript(folder, spec));
  spec.neighbours.forEach((neighbour, at) => {
    writeFileSync(join(folder, `neighbour-${at}.sh`), neighbourScript(folder, neighbour));
  });
  if (spec.userNamespace) giveTo(NODE_ID, folder);
}

/** The node's side: volumes as kubelet makes them, then the containers. Runs as the sandbox's first process. */
function podScript(folder: string, spec: PodSpec): string {
  const shared = spec.processNamespace === 'shared';
  const container = `unshare --mount --propagation private ${spec.processNamespace === 'own' ? '--pid --fork --mount-proc' : ''}`;
  return `set -eu
cd ${folder}
mount --rbind ${CHECKOUT} app
mount --bind ${NODE} node
mount -t tmpfs -o mode=1777 tmpfs kubelet
mount -t tmpfs -o mode=0777 tmpfs socket-volume
GENERATION=..2026_11_23_17_00_00.123456789
mkdir -m 0755 kubelet/$GENERATION
cat secret > kubelet/$GENERATION/token
chown ${spec.secretFiles.owner} kubelet/$GENERATION/token
chmod ${spec.secretFiles.mode} kubelet/$GENERATION/token
ln -s $GENERATION kubelet/..data
ln -s ..data/token kubelet/token
ulimit -c unlimited
${spec.neighbours.map(startNeighbour).join('\n')}
${
  shared
    ? `cp "$(command -v sleep)" pause
${container} bash resolver.sh < /dev/null &
exec unshare --mount --propagation private bash -c 'umount kubelet socket-volume; exec setpriv ${spec.pauseIdentity} ./pause infinity' < /dev/null > /dev/null 2>&1`
    : `exec ${container} bash resolver.sh < /dev/null`
}
`;
}

/** Starts a neighbour and waits until it is what it is meant to be: each step before that runs as root. */
function startNeighbour(neighbour: Neighbour, at: number): string {
  const start = `unshare --mount --propagation private bash neighbour-${at}.sh < /dev/null > /dev/null &`;
  return neighbour.afterSeconds === undefined
    ? `${start}\nuntil [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.02; done`
    : start;
}

function resolverScript(folder: string, spec: PodSpec): string {
  return `set -eu
cd ${folder}
SOURCE=${folder}/kubelet TARGET=${folder}/pod/secrets/tenant/creds
${spec.mountSecret}
mount --bind socket-volume pod/run
${spec.prepare}
SECRET=$(cat secret)
umount kubelet 2> /dev/null || true
umount socket-volume
${spec.readOnlyRoot ? 'mount -o remount,bind,ro /' : ''}
${spec.environment.map((line) => `export "${line}"`).join('\n')}
unset SECRET_RESOLVER_CONFIG NODE_V8_COVERAGE
${spec.processNamespace === 'shared' ? 'until [ "$(cat /proc/1/comm)" = pause ]; do sleep 0.02; done' : ''}
CODE=0
${folder}/node app/test/boundary/launcher.ts '${JSON.stringify({ seccomp: spec.seccomp, inherit: spec.inherit, runtime: spec.runtime })}' "$(command -v setpriv)" ${spec.identity} ${folder}/node ${spec.nodeFlags.join(' ')} ${spec.program} || CODE=$?
echo "ended with $CODE" >&2
`;
}

function neighbourScript(folder: string, neighbour: Neighbour): string {
  const keep = neighbour.volumes ?? 'none';
  return `set -eu
cd ${folder}
${keep === 'secret' ? '' : 'umount kubelet'}
${keep.startsWith('socket') ? '' : 'umount socket-volume'}
${keep === 'socket-read-only' ? 'mount -o remount,bind,ro socket-volume' : ''}
${neighbour.onceTrue === undefined ? '' : `until ${neighbour.onceTrue}; do sleep 0.05; done`}
${neighbour.afterSeconds === undefined ? '' : `sleep ${neighbour.afterSeconds}; date +%s%3N > started`}
${neighbour.idMap === undefined ? '' : `(until echo "${neighbour.idMap}" > /proc/$$/uid_map; do sleep 0.02; done) 2> /dev/null &`}
exec setpriv ${neighbour.identity} ${neighbour.command ?? 'sleep 60'}
`;
}

/** In a user namespace the node's root is nobody: the pod's root has to own what the pod uses. */
function giveTo(id: number, folder: string): void {
  chownSync(folder, id, id);
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    chownSync(join(folder, name), id, id);
  }
}

function execute(folder: string, spec: PodSpec, node: Node | undefined, timeoutMs: number): Promise<PodRun> {
  const shared = spec.processNamespace === 'shared';
  const child = spawn(
    'unshare',
    [
      '--mount',
      ...(spec.userNamespace ? ['--user', '--keep-caps'] : ['--propagation', 'private']),
      ...(shared ? ['--pid', '--fork', '--kill-child', '--mount-proc'] : []),
      'bash',
      ...(spec.userNamespace
        ? // Root of the namespace, as soon as there are ids for it.
          ['-c', `read -r _; exec setpriv --reuid 0 --regid 0 --clear-groups bash ${folder}/pod.sh`]
        : [join(folder, 'pod.sh')]),
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: cleanEnvironment() },
  );
  if (spec.userNamespace) mapUsers(child.pid);
  child.stdin.end('go\n');
  const besides = node === undefined ? undefined : firstOf(child.pid).then((pid) => node(pid, folder));
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    const deadline = setTimeout(() => {
      if (shared) endSandbox(child.pid);
      child.kill('SIGKILL');
      reject(new Error(`the pod did not end: ${stderr}`));
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (shared && /^ended with \d+$/m.test(stderr)) endSandbox(child.pid);
    });
    child.once('error', reject);
    child.once('close', () => {
      clearTimeout(deadline);
      const code = /^ended with (\d+)$/m.exec(stderr)?.[1];
      const run = { code: Number(code), stdout, stderr };
      if (code === undefined) reject(new Error(`the pod did not come up: ${stderr}`));
      else if (besides === undefined) resolve(run);
      else besides.then(() => resolve(run), reject);
    });
  });
}

/** The first process of the pod, once it exists. */
async function firstOf(unshare: number | undefined): Promise<number> {
  for (;;) {
    const pid = Number(readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8'));
    if (pid > 0) return pid;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * The first process of a shared PID namespace waits forever, as it does in a pod, and takes everything in the
 * namespace with it when it is killed. unshare's --kill-child does not help: a change of UID cancels it.
 */
function endSandbox(unshare: number | undefined): void {
  const children = readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8');
  for (const pid of children.split(' ').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
}

/** What a container runtime would start with: nothing of the test's own environment but the path. */
function cleanEnvironment(): Record<string, string> {
  return { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/' };
}

/** Ids of the user namespace that `pid` enters: waits until it has, and gives it ids of its own on the node. */
function mapUsers(pid: number | undefined): void {
  if (pid === undefined) throw new Error('unshare did not start');
  const own = mapOf('self');
  for (let tries = 0; mapOf(pid) === own; tries++) {
    if (tries > 1000) throw new Error('unshare did not enter a user namespace');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
  for (const file of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${file}`, `0 ${NODE_ID} 65536`);
}

function mapOf(pid: number | 'self'): string {
  return readFileSync(`/proc/${pid}/uid_map`, 'utf8');
}
