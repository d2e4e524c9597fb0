/**
 * PID 1 of a pod for tests. Runs as root in PID, mount and network namespaces of its own, which `unshare` made for
 * it: builds the pod, runs the self-test in it once, and prints what came of it as JSON.
 */
import { execFileSync, spawn } from 'node:child_process';
import { lstatSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { buildPod } from './self-test-build.ts';
import { finished, REPOSITORY, ready } from './self-test-containers.ts';
import type { PodResult, PodSpec } from './self-test-pod-spec.ts';

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

/** All that `watch` prints when it gets one snapshot and then nothing: no second one, no reconnection, no complaint. */
const FIRST_SNAPSHOT =
  /^\S+ revision [0-9]+: 2 served, 0 refused\n\S+ +loaded gitlab:GITLAB_TOKEN\n\S+ +loaded gitlab:OTHER\n$/;

/** A `watch` of the supervisor's that nothing may interrupt, and a `get` after the self-test. */
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

async function main(spec: PodSpec): Promise<PodResult> {
  const pod = await buildPod(spec);
  const supervisor = spec.listener === 'serve' ? superviseFrom(pod.socket) : undefined;
  await supervisor?.ready();
  const identity = () => lstatSync(pod.socket, { throwIfNoEntry: false })?.ino;
  const inode = identity();
  const before = everything(pod.socketVolume);

  const inherit = spec.agent.inheritsConnection ? await openConnection(pod.socket) : undefined;
  const ended = await finished(pod.startProbe(spec.probeArguments, inherit));
  inherit?.destroy();
  return {
    ...ended,
    socketIntact: identity() === inode && (await answers(pod.socket)),
    supervisorServed: supervisor?.served() ?? false,
    leftBehind: everything(pod.socketVolume).filter((path) => !before.includes(path)),
  };
}

function everything(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' });
}

const result = await main(JSON.parse(process.argv[2] ?? '') as PodSpec);
process.stdout.write(JSON.stringify(result), () => process.exit(0));
