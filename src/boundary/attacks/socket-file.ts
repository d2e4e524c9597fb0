/**
 * Attacks on the socket's name: whoever can move or replace it cuts the supervisor off, or answers in the resolver's
 * place. Each change that succeeds is taken back in the same breath, without giving up the CPU to other code of ours:
 * the socket's inode stays the same, and its name is missing for microseconds.
 */
import { chmodSync, closeSync, lstatSync, openSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { bindOverItself, exchangeNames } from '../../native/attacks.ts';
import { attempt, errnoName, type Gain } from './answer.ts';
import { socketVisible } from './socket.ts';
import type { AttackContext, AttackRun, Tries } from './types.ts';

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

function onSocket(
  act: (place: Place, tries: Tries, right: readonly string[]) => Promise<void> | void,
): AttackRun {
  return async (context, tries, right) => {
    if (socketVisible(context, tries)) await act(placeOf(context), tries, right);
  };
}

export const attackRename = onSocket((place, tries, right) => {
  attempt(tries, place.socket, right, () => moveAndBack(place.socket, place.besideSocket));
});
export const attackMount = onSocket((place, tries, right) => {
  for (const path of [place.socket, place.directory]) {
    attempt(tries, path, right, () => {
      bindOverItself(path);
      return 'mounted over, and unmounted';
    });
  }
});
export const attackLink = onSocket((place, tries, right) =>
  attackSymlink(place.socket, place.besideSocket, tries, right),
);
export const attackMode = onSocket((place, tries, right) => {
  for (const path of [place.socket, place.directory]) {
    attempt(tries, path, right, () => {
      chmodSync(path, lstatSync(path).mode & 0o7777);
      return 'modes could be set';
    });
  }
});
export const attackFolderRename = onSocket((place, tries, right) => {
  attempt(tries, place.directory, right, () => moveAndBack(place.directory, place.besideDirectory));
});
export const attackFolderLink = onSocket((place, tries, right) =>
  attackSymlink(place.directory, place.besideDirectory, tries, right),
);

function moveAndBack(from: string, to: string): Gain {
  renameSync(from, to);
  renameSync(to, from);
  return 'renamed, and put back';
}

/**
 * An unlinked socket cannot be brought back. To rename it takes the right to unlink it and more, so that is tried
 * first; only when it was refused is the socket unlinked in earnest.
 */
export const attackUnlink = onSocket((place, tries, right) => {
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
});

export const attackReplace = onSocket(({ socket, besideSocket }, tries, right) => {
  const created = attempt(tries, besideSocket, right, () => {
    closeSync(openSync(besideSocket, 'wx', 0o600));
    return 'created beside the socket';
  });
  if (created) exchangeAndClean(socket, besideSocket, tries, right);
});

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

export const attackBind = onSocket(async (place, tries, right) => {
  for (const path of [place.socket, place.besideSocket]) {
    const bound = await bindAndClose(path);
    if (bound === undefined) tries.broken(path, 'bound, and closed');
    else if (right.includes(bound)) tries.held(path, bound);
    else tries.unclear(path, bound);
  }
});

/** Undefined where a listener of ours was bound; Node unlinks it at close. */
async function bindAndClose(path: string): Promise<string | undefined> {
  const server = net.createServer();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  server.on('error', (error) => resolve(errnoName(error)));
  server.listen(path, () => server.close(() => resolve(undefined)));
  return promise;
}
