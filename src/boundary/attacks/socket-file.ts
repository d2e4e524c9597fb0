/**
 * Attacks on the socket's name: whoever can move or replace it cuts the supervisor off, or answers in the resolver's
 * place. Each change that succeeds is taken back in the same breath, without giving up the CPU to other code of ours:
 * the socket's inode stays the same, and its name is missing for microseconds.
 */
import { chmodSync, closeSync, lstatSync, openSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { bindOverItself, exchangeNames } from '../../native/native.ts';
import { attempt, CHANGE_REFUSED, errnoName, type Gain } from './answer.ts';
import { socketVisible } from './socket.ts';
import type { Attack, AttackContext, Tries } from './types.ts';

/** A mount point, or a folder that holds one, cannot be renamed. */
const MOVE_REFUSED = [...CHANGE_REFUSED, 'EBUSY', 'EXDEV'];
const TAKEN = 'EADDRINUSE';

interface Place {
  readonly socket: string;
  readonly directory: string;
  /** A name of ours beside the socket. */
  readonly besideSocket: string;
  /** A name of ours beside its folder. */
  readonly besideDirectory: string;
}

function placeOf({ socketPath }: AttackContext): Place {
  const directory = dirname(socketPath);
  const name = `.probe-${process.pid}`;
  return {
    socket: socketPath,
    directory,
    besideSocket: join(directory, name),
    besideDirectory: join(dirname(directory), name),
  };
}

function fileAttack(
  id: string,
  what: string,
  rightReasons: readonly string[],
  act: (place: Place, tries: Tries, rightReasons: readonly string[]) => Promise<void> | void,
): Attack {
  return {
    id,
    family: 'socket-file',
    what,
    rightReasons,
    run: async (context, tries) => {
      if (socketVisible(context, tries)) await act(placeOf(context), tries, rightReasons);
    },
  };
}

export const SOCKET_FILE_ATTACKS: readonly Attack[] = [
  fileAttack('socket-rename', 'rename the socket', CHANGE_REFUSED, (place, tries, right) => {
    attempt(tries, place.socket, right, () => moveAndBack(place.socket, place.besideSocket));
  }),
  fileAttack('socket-unlink', 'unlink the socket', CHANGE_REFUSED, attackUnlink),
  fileAttack('socket-replace', 'put a file of ours in place of the socket', CHANGE_REFUSED, attackReplace),
  fileAttack('socket-bind', 'listen in its place', [...CHANGE_REFUSED, TAKEN], attackBind),
  fileAttack(
    'socket-mount',
    'mount over the socket and its folder',
    CHANGE_REFUSED,
    (place, tries, right) => {
      for (const path of [place.socket, place.directory]) {
        attempt(tries, path, right, () => {
          bindOverItself(path);
          return 'mounted over, and unmounted';
        });
      }
    },
  ),
  fileAttack(
    'socket-symlink',
    'put a symbolic link in place of the socket',
    CHANGE_REFUSED,
    (p, tries, right) => attackSymlink(p.socket, p.besideSocket, tries, right),
  ),
  fileAttack(
    'socket-mode',
    'change the modes of the socket and its folder',
    CHANGE_REFUSED,
    (p, tries, right) => {
      for (const path of [p.socket, p.directory]) {
        attempt(tries, path, right, () => {
          chmodSync(path, lstatSync(path).mode & 0o7777);
          return 'modes could be set';
        });
      }
    },
  ),
  fileAttack('directory-rename', 'rename the folder of the socket', MOVE_REFUSED, (place, tries, right) => {
    attempt(tries, place.directory, right, () => moveAndBack(place.directory, place.besideDirectory));
  }),
  fileAttack('directory-symlink', 'put a link in place of the folder', MOVE_REFUSED, (p, tries, right) =>
    attackSymlink(p.directory, p.besideDirectory, tries, right),
  ),
];

function moveAndBack(from: string, to: string): Gain {
  renameSync(from, to);
  renameSync(to, from);
  return 'renamed, and put back';
}

/**
 * An unlinked socket cannot be brought back. To rename it takes the right to unlink it and more, so that is tried
 * first; only when it was refused is the socket unlinked in earnest.
 */
function attackUnlink(place: Place, tries: Tries, right: readonly string[]): void {
  try {
    moveAndBack(place.socket, place.besideSocket);
    tries.broken(place.socket, 'can be renamed, so it can be unlinked');
    return;
  } catch (error) {
    const answer = errnoName(error);
    if (!right.includes(answer)) {
      tries.unclear(place.socket, answer);
      return;
    }
  }
  attempt(tries, place.socket, right, () => {
    unlinkSync(place.socket);
    return 'unlinked, and it could not be put back: restart the resolver';
  });
}

function attackReplace({ socket, besideSocket }: Place, tries: Tries, right: readonly string[]): void {
  const created = attempt(tries, besideSocket, right, () => {
    closeSync(openSync(besideSocket, 'wx', 0o600));
    return 'created beside the socket';
  });
  if (created) exchangeAndClean(socket, besideSocket, tries, right);
}

function attackSymlink(path: string, beside: string, tries: Tries, right: readonly string[]): void {
  const created = attempt(tries, beside, right, () => {
    symlinkSync('/nonexistent', beside);
    return 'link created beside it';
  });
  if (created) exchangeAndClean(path, beside, tries, right);
}

/** Puts `ours` in place of `path`, puts it back, and removes `ours`. */
function exchangeAndClean(path: string, ours: string, tries: Tries, right: readonly string[]): void {
  try {
    attempt(tries, path, right, () => {
      exchangeNames(path, ours);
      exchangeNames(path, ours);
      return 'replaced, and put back';
    });
  } finally {
    unlinkSync(ours);
  }
}

async function attackBind(place: Place, tries: Tries, right: readonly string[]): Promise<void> {
  for (const path of [place.socket, place.besideSocket]) {
    const bound = await bindAndClose(path);
    if (bound === undefined) tries.broken(path, 'bound, and closed');
    else if (right.includes(bound)) tries.held(path, bound);
    else tries.unclear(path, bound);
  }
}

/** Undefined where a listener of ours was bound; Node unlinks it at close. */
async function bindAndClose(path: string): Promise<string | undefined> {
  const server = net.createServer();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  server.on('error', (error) => resolve(errnoName(error)));
  server.listen(path, () => server.close(() => resolve(undefined)));
  return promise;
}
