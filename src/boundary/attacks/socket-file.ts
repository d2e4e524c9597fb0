/**
 * Attacks on the socket's name: whoever can move or replace it cuts the supervisor off, or answers in the resolver's
 * place. Each change that succeeds is taken back in the same breath, without giving up the CPU to other code of ours:
 * the socket's inode stays the same, and its name is missing for microseconds.
 */
import { once } from 'node:events';
import { chmodSync, closeSync, lstatSync, openSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { errorCode } from '../../domain/errors.ts';
import { bindOverItself, exchangeNames } from '../../native/attacks.ts';
import { socketVisible } from './socket.ts';
import type { Gain, Tries } from './tries.ts';
import { type AttackRun, CHANGE_REFUSED } from './types.ts';

export const attacks = {
  'socket-rename': onSocket((tries, { socket, besideSocket }) => {
    tries.attempt(socket, () => moveAndBack(socket, besideSocket));
  }),
  'socket-unlink': onSocket(unlink),
  'socket-replace': onSocket((tries, { socket, besideSocket }) => {
    replace(tries, socket, besideSocket, () => {
      closeSync(openSync(besideSocket, 'wx', 0o600));
      return 'created beside the socket';
    });
  }),
  'socket-bind': onSocket(bind),
  'socket-mount': onSocket((tries, { socket, folder }) => {
    for (const path of [socket, folder]) {
      tries.attempt(path, () => {
        bindOverItself(path);
        return 'mounted over, and unmounted';
      });
    }
  }),
  'socket-symlink': onSocket((tries, { socket, besideSocket }) => link(tries, socket, besideSocket)),
  'socket-mode': onSocket((tries, { socket, folder }) => {
    for (const path of [socket, folder]) {
      tries.attempt(path, () => {
        chmodSync(path, lstatSync(path).mode & 0o7777);
        return 'modes could be set';
      });
    }
  }),
  'directory-rename': onSocket((tries, { folder, besideFolder }) => {
    tries.attempt(folder, () => moveAndBack(folder, besideFolder));
  }),
  'directory-symlink': onSocket((tries, { folder, besideFolder }) => link(tries, folder, besideFolder)),
};

interface Place {
  readonly socket: string;
  readonly folder: string;
  /** A name of ours beside the socket. */
  readonly besideSocket: string;
  /** A name of ours beside its folder. */
  readonly besideFolder: string;
}

function onSocket(act: (tries: Tries, place: Place) => Promise<void> | void): AttackRun {
  return async (context, tries) => {
    if (!socketVisible(context, tries)) return;
    const socket = context.socketPath;
    const folder = dirname(socket);
    const name = `.probe-${process.pid}`;
    await act(tries, {
      socket,
      folder,
      besideSocket: join(folder, name),
      besideFolder: join(dirname(folder), name),
    });
  };
}

function moveAndBack(from: string, to: string): Gain {
  renameSync(from, to);
  renameSync(to, from);
  return 'renamed, and put back';
}

/**
 * An unlinked socket cannot be brought back. To rename it takes the right to unlink it and more, so that is tried
 * first; only when it was refused is the socket unlinked in earnest.
 */
function unlink(tries: Tries, { socket, besideSocket }: Place): void {
  tries.attempt(socket, () => {
    try {
      moveAndBack(socket, besideSocket);
      return 'can be renamed, so it can be unlinked';
    } catch (error) {
      if (!CHANGE_REFUSED.includes(errorCode(error))) throw error;
    }
    unlinkSync(socket);
    return 'unlinked, and it could not be put back: restart the resolver';
  });
}

function link(tries: Tries, path: string, beside: string): void {
  replace(tries, path, beside, () => {
    symlinkSync('/nonexistent', beside);
    return 'link created beside it';
  });
}

/** Creates `ours`, puts it in place of `path`, puts it back, and removes `ours`. */
function replace(tries: Tries, path: string, ours: string, create: () => Gain): void {
  if (!tries.attempt(ours, create)) return;
  try {
    tries.attempt(path, () => {
      exchangeNames(path, ours);
      exchangeNames(path, ours);
      return 'replaced, and put back';
    });
  } finally {
    unlinkSync(ours);
  }
}

async function bind(tries: Tries, { socket, besideSocket }: Place): Promise<void> {
  for (const path of [socket, besideSocket]) {
    try {
      const server = net.createServer().listen(path);
      await once(server, 'listening');
      // Node unlinks it at close.
      server.close();
      await once(server, 'close');
      tries.broken(path, 'bound, and closed');
    } catch (error) {
      tries.refused(path, errorCode(error));
    }
  }
}
