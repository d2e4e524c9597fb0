/**
 * The socket in the file system: where it may be, what may be replaced, and what is removed.
 *   - Its folder is our own: a real directory, ours, not writable by others. A folder of an emptyDir is made anew
 *     by anybody who may write there, so the socket is never in the volume's root itself.
 *   - It is bound under a name of its own and renamed into place: no moment with wrong modes at the public path,
 *     and libuv, which unlinks the name that it bound, never touches the public one.
 *   - A socket that already exists is replaced only if it is a socket, ours, and nobody answers on it.
 *   - On exit it is removed only if it is still the inode that we bound.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, lstatSync, mkdirSync, renameSync, type Stats, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import type { SocketSettings } from '../config/config.ts';
import { CommandError, ExitCode, errorCode } from '../domain/errors.ts';

/** Mode of the socket's folder: everybody may pass, nobody but us may list or change it. */
const DIRECTORY_MODE = 0o711;
/** Milliseconds to wait for an answer on a socket that already exists. */
const PROBE_TIMEOUT_MS = 1_000;
/** Connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn. */
const BACKLOG = 4_096;

export interface BoundSocket {
  readonly path: string;
  readonly identity: string;
}

export class SocketFileError extends CommandError {
  override readonly name = 'SocketFileError';
  constructor(path: string, what: string, todo: string) {
    super(`${path}: ${what} (${todo})`, ExitCode.refused);
  }
}

/** Checks folder and path, and binds `server` there. Throws {@link SocketFileError}. */
export async function bindSocket(server: Server, settings: SocketSettings): Promise<BoundSocket> {
  const { path, mode, gid } = settings;
  prepareDirectory(dirname(path));
  await checkReplaceable(path);
  const temporary = join(dirname(path), `.${randomBytes(4).toString('hex')}`);
  const umask = process.umask(0o777);
  try {
    // For a path, listen() binds before it returns: the umask holds for this socket and for nothing else.
    server.listen({ path: temporary, backlog: BACKLOG });
  } finally {
    process.umask(umask);
  }
  await once(server, 'listening').catch((error: unknown) => {
    const what = `cannot listen: ${errorCode(error)}`;
    throw new SocketFileError(path, what, `check the folder of ${basename(path)}`);
  });
  try {
    if (gid !== undefined) chownSync(temporary, process.geteuid?.() ?? -1, gid);
    chmodSync(temporary, mode);
    const identity = identityOf(lstatSync(temporary));
    renameSync(temporary, path);
    return { path, identity };
  } catch (error) {
    server.close();
    const todo =
      gid === undefined
        ? 'check the folder'
        : `check that ${gid} is a group of this process, or leave socket.gid out`;
    throw new SocketFileError(path, `the socket cannot be put in place: ${errorCode(error)}`, todo);
  }
}

export function socketState(bound: BoundSocket): 'ours' | 'removed' | 'replaced' {
  try {
    return identityOf(lstatSync(bound.path)) === bound.identity ? 'ours' : 'replaced';
  } catch {
    // No entry, or no folder: ENOTDIR where a file has replaced it.
    return 'removed';
  }
}

export function removeSocket(bound: BoundSocket): void {
  if (socketState(bound) === 'ours') unlinkSync(bound.path);
}

function identityOf(stat: Stats): string {
  return `${stat.dev}:${stat.ino}`;
}

function prepareDirectory(directory: string): void {
  const umask = process.umask(0);
  try {
    mkdirSync(directory, { mode: DIRECTORY_MODE });
    // mkdir inherits setgid from the parent; with it every socket would belong to the pod's fsGroup.
    chmodSync(directory, DIRECTORY_MODE);
  } catch (error) {
    const code = errorCode(error);
    const todo = 'mount a writable emptyDir at its parent';
    if (code !== 'EEXIST') throw new SocketFileError(directory, `the folder cannot be made: ${code}`, todo);
  } finally {
    process.umask(umask);
  }
  const stat = lstatSync(directory);
  const todo = 'remove it, or set socket.path into a folder that only this user may write';
  if (stat.isSymbolicLink() || !stat.isDirectory())
    throw new SocketFileError(directory, 'is not a real directory', todo);
  if (stat.uid !== process.geteuid?.())
    throw new SocketFileError(directory, `belongs to uid ${stat.uid}, not to us`, todo);
  const mode = (stat.mode & 0o7777).toString(8);
  if ((stat.mode & 0o022) !== 0)
    throw new SocketFileError(directory, `may be written by others (mode ${mode})`, todo);
}

async function checkReplaceable(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  const todo = 'remove it by hand, or choose another socket.path';
  if (!stat.isSocket()) throw new SocketFileError(path, 'exists but is not a socket', todo);
  if (stat.uid !== process.geteuid?.())
    throw new SocketFileError(path, `is a socket of uid ${stat.uid}, not ours`, todo);
  const occupied = 'stop that process first, or choose another socket.path';
  if (await answers(path)) throw new SocketFileError(path, 'another process answers on it', occupied);
}

/** Whether somebody accepts on the socket. Anything but a plain refusal counts as an answer: fail safe. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => done(true));
    socket.once('connect', () => done(true));
    socket.once('error', (error) => done(!['ECONNREFUSED', 'ENOENT'].includes(errorCode(error))));
  });
}
