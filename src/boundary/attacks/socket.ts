/** Attacks on the resolver through its socket. */
import { spawn } from 'node:child_process';
import { fstatSync, lstatSync, readdirSync } from 'node:fs';
import net from 'node:net';
import { errorCode } from '../../domain/errors.ts';
import { unixPeerPath } from '../../native/attacks.ts';
import { peerCredentials } from '../../native/native.ts';
import { ifReadable } from '../facts/readable.ts';
import { type CallAnswer, callOn, describeAnswer, firstAnswer, isGain } from './grpc-wire.ts';
import type { Tries } from './tries.ts';
import { type AttackContext, REFUSED } from './types.ts';

/** Milliseconds for one call. The resolver refuses in less than ten. */
const CALL_TIMEOUT_MS = 1000;

export const attacks = {
  'socket-connect': attackConnect,
  'socket-rpcs': attackRpcs,
  'handed-over-descriptor': attackHandedOver,
};

/** Whether there is a socket to attack at the path; says so where there is none. */
export function socketVisible(context: AttackContext, tries: Tries): boolean {
  try {
    lstatSync(context.socketPath);
    return true;
  } catch (error) {
    const answer = errorCode(error);
    // A folder that we may not search hides the socket as well as a mount would: the attack itself will show it.
    if (REFUSED.includes(answer)) return true;
    tries.notApplicable(`no socket is visible at ${context.socketPath} (${answer})`);
    return false;
  }
}

/** Sorts an answer that came over a Unix socket of the resolver. */
function judge(target: string, answer: CallAnswer, tries: Tries): void {
  const words = describeAnswer(answer);
  // Any other status was sent by a server that read what we wrote: the refusal came too late.
  if (isGain(answer)) tries.broken(target, words);
  else tries.refused(target, words);
}

async function attackConnect(context: AttackContext, tries: Tries): Promise<void> {
  if (!socketVisible(context, tries)) return;
  const socket = net.connect(context.socketPath);
  let listener: number | undefined;
  socket.on('connect', () => {
    listener = peerUid(socket);
  });
  const answer = await firstAnswer(socket, CALL_TIMEOUT_MS);
  if (answer.kind === 'other') tries.broken(context.socketPath, `answered with ${answer.bytes} bytes`);
  else judge(context.socketPath, answer, tries);
  if (listener === undefined) return;
  const who = `uid ${listener} listens`;
  if (listener === process.getuid?.()) tries.broken('its listener', `${who}, and that is ours`);
  else if (context.resolverUid === undefined || listener === context.resolverUid)
    tries.held('its listener', who);
  else tries.unclear('its listener', `${who}, and the resolver has uid ${context.resolverUid}`);
}

/** UID of the process that listens, as the kernel noted it at listen(). */
function peerUid(socket: net.Socket): number | undefined {
  const fd = (socket as unknown as { _handle?: { fd?: number } })._handle?.fd;
  return fd === undefined ? undefined : ifReadable(() => peerCredentials(fd).uid);
}

async function attackRpcs(context: AttackContext, tries: Tries): Promise<void> {
  if (!socketVisible(context, tries)) return;
  for (const rpc of context.rpcs) {
    if (context.signal.aborted) return;
    judge(rpc.path, await callOn(net.connect(context.socketPath), rpc, CALL_TIMEOUT_MS), tries);
  }
}

async function attackHandedOver(context: AttackContext, tries: Tries): Promise<void> {
  const rpc = context.rpcs[0];
  if (rpc === undefined) return;
  for (const fd of inheritedConnections(context)) {
    judge(`inherited descriptor ${fd}`, await callOn(new net.Socket({ fd }), rpc, CALL_TIMEOUT_MS), tries);
  }
  if (!socketVisible(context, tries)) return;
  const target = 'connection of a helper that has ended';
  const handed = await connectionOfHelper(context);
  if (typeof handed === 'string') tries.refused(target, handed);
  else judge(target, await callOn(handed, rpc, CALL_TIMEOUT_MS), tries);
}

/** Descriptors that we were started with and that lead to the resolver's socket, or to a process of its UID. */
function inheritedConnections(context: AttackContext): number[] {
  const FIRST = 3;
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd >= FIRST && leadsToResolver(fd, context));
}

function leadsToResolver(fd: number, { socketPath, resolverUid }: AttackContext): boolean {
  const leads = ifReadable(
    () =>
      fstatSync(fd).isSocket() &&
      (unixPeerPath(fd) === socketPath || peerCredentials(fd).uid === resolverUid),
  );
  return leads === true;
}

/** A child of ours connects, hands the descriptor over and ends: a resolver that trusts the pid would be fooled. */
const HELPER = `
const socket = require('node:net').connect(process.argv[1]);
socket.on('error', (error) => process.send(error.code, () => process.exit()));
socket.on('connect', () => process.send('connected', socket, { keepOpen: false }, () => process.exit()));
`;

/** The connection, once its opener has ended, or the errno with which it could not be had. */
async function connectionOfHelper(context: AttackContext): Promise<net.Socket | string> {
  const child = spawn(process.execPath, ['-e', HELPER, context.socketPath], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: {},
    signal: context.signal,
    killSignal: 'SIGKILL',
  });
  const { promise, resolve } = Promise.withResolvers<net.Socket | string>();
  const ended = Promise.withResolvers<void>();
  child.on('error', (error) => resolve(errorCode(error)));
  child.on('message', (message, handle) => {
    if (handle instanceof net.Socket) {
      handle.on('error', () => undefined);
      resolve(handle);
    } else {
      resolve(typeof message === 'string' && message !== 'connected' ? message : 'ECONNRESET');
    }
  });
  child.on('close', () => {
    ended.resolve();
    resolve('no answer of the helper');
  });
  const handed = await promise;
  if (typeof handed !== 'string') await ended.promise;
  return handed;
}
