/** Facts about the Unix socket that we serve on, and about every socket of ours that others might reach. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { localSocket } from '../../native/native.ts';
import type { BoundSocket } from '../../socket/socket-file.ts';
import { type MountFacts, type PathFacts, parentFacts, pathFacts, resolved } from './facts-mounts.ts';

/** A TCP socket of ours that accepts connections. */
export interface TcpListener {
  /** As in a URL: an IPv6 address has its brackets. */
  readonly address: string;
  readonly port: number;
}

export interface SocketFacts {
  /** The socket's folder, links above it resolved but not one at it; undefined where it is not there yet. */
  readonly folder: PathFacts | undefined;
  /** Folders above the socket's folder, from `/` down. */
  readonly parents: readonly PathFacts[];
  readonly file: PathFacts | undefined;
  readonly bound: BoundSocket | undefined;
  readonly tcpListeners: readonly TcpListener[];
  readonly abstractNames: readonly string[];
}

export function gatherSockets(
  config: Config,
  mounts: MountFacts,
  bound: BoundSocket | undefined,
): SocketFacts {
  const named = dirname(config.socket.path);
  // /var/run is a link everywhere; what must not be one is the folder itself.
  const folder = join(resolved(dirname(named)), basename(named));
  return {
    folder: pathFacts(folder, mounts.all),
    parents: parentFacts(folder, mounts.all),
    file: pathFacts(config.socket.path, mounts.all),
    bound,
    ...ownSockets(),
  };
}

/**
 * Asks the kernel about each of our own descriptors. The tables in /proc/net are those of the whole pod: an
 * agent could write a line of its choice into one, or make it so long that reading it holds up the event loop.
 */
function ownSockets(): Pick<SocketFacts, 'tcpListeners' | 'abstractNames'> {
  const tcpListeners: TcpListener[] = [];
  const abstractNames: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    // Undefined, too, for the descriptor that listed the folder: it is closed by now.
    const socket = localSocket(Number(fd));
    if (socket?.family === 'unix') {
      if (socket.name.startsWith('\0')) abstractNames.push(`@${socket.name.slice(1)}`);
    } else if (socket?.family === 'inet' || socket?.family === 'inet6') {
      const address = socket.family === 'inet' ? socket.address : `[${socket.address}]`;
      if (socket.listening) tcpListeners.push({ address, port: socket.port });
    }
  }
  return { tcpListeners, abstractNames };
}
