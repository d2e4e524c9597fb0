/** Builds a pod as its specification says, up to the point where the self-test may start. Runs as PID 1 of the pod. */
import { type ChildProcess, execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import type net from 'node:net';
import { dirname, join, relative } from 'node:path';
import { newSecret } from '../support/secrets.ts';
import { BASE, containerRoot, kubeletVolume, ready, startIn, tmpfs } from './self-test-containers.ts';
import {
  type PodSpec,
  SECRET_MOUNT,
  SECRETS_ROOT,
  SOCKET_PATH,
  SOCKET_VOLUME,
} from './self-test-pod-spec.ts';

const TOKEN_FOLDER = '/run/secrets/kubernetes.io/serviceaccount';

/** A pod that stands, seen from outside of its containers. */
export interface BuiltPod {
  /** The socket, and the volume that it lies in. */
  readonly socket: string;
  readonly socketVolume: string;
  readonly secretVolume: string;
  /** Starts the self-test in the agent's container. */
  /** `core` keeps it on one core of the machine. */
  readonly startProbe: (words: readonly string[], inherit?: net.Socket, core?: number) => ChildProcess;
}

export async function buildPod(spec: PodSpec): Promise<BuiltPod> {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  tmpfs(BASE, 'mode=755');
  const content = { GITLAB_TOKEN: newSecret('glpat'), OTHER: newSecret() };
  const secrets = kubeletVolume('secrets', content, spec.victim.uid, spec.secretMode);
  const token = kubeletVolume('token', { token: newSecret('token'), namespace: 'tenant' }, 0, 0o444);
  const socketVolume = join(BASE, 'volumes', 'socket');
  tmpfs(socketVolume, 'mode=777');
  const socket = join(socketVolume, relative(SOCKET_VOLUME, SOCKET_PATH));
  mkdirSync(dirname(socket), { recursive: true });
  chownSync(dirname(socket), spec.socketFolder.uid, spec.socketFolder.uid);
  chmodSync(dirname(socket), spec.socketFolder.mode);

  const resolver = containerRoot('resolver', [
    { from: socketVolume, at: SOCKET_VOLUME, readOnly: false },
    { from: secrets, at: SECRET_MOUNT, readOnly: true },
    { from: writeConfiguration(spec), at: '/etc/secret-resolver', readOnly: true },
  ]);
  const { agent } = spec;
  const agentRoot = containerRoot('agent', [
    { from: socketVolume, at: SOCKET_VOLUME, readOnly: !agent.socketVolumeWritable },
    ...(agent.secretMountedAt === undefined
      ? []
      : [{ from: secrets, at: agent.secretMountedAt, readOnly: true }]),
    ...(agent.serviceAccountToken ? [{ from: token, at: TOKEN_FOLDER, readOnly: true }] : []),
  ]);
  if (agent.credentialInFile) {
    writeFileSync(join(agentRoot, 'tmp/.netrc'), `\npassword ${newSecret('glpat')}\n`);
  }

  const victim = startIn(resolver, { uid: spec.victim.uid, capabilities: [] }, victimWords(spec), {
    env: { VICTIM_SECRET: newSecret() },
  });
  await ready(victim);
  if (spec.listener === 'dead') leaveDeadSocket(socket);
  return {
    socket,
    socketVolume,
    secretVolume: secrets,
    startProbe: (words, inherit, core) =>
      startIn(
        agentRoot,
        agent,
        [
          ...(core === undefined ? [] : ['taskset', '--cpu-list', String(core)]),
          '/node',
          '/app/src/main.ts',
          'self-test',
          ...words,
        ],
        {
          env: agent.credentialInEnvironment ? { GITLAB_TOKEN: newSecret('glpat') } : {},
          inherit,
          namespaces: agent.ownPidNamespace ? ['--pid', '--fork', '--mount-proc=/proc'] : [],
        },
      ),
  };
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
    '/app/test/boundary/self-test-victim.ts',
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

/** A socket file that nobody listens on, as a killed resolver leaves it. */
function leaveDeadSocket(path: string): void {
  const script = `require('node:net').createServer().listen({ path: process.argv[1], writableAll: true }, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script, path]);
}
