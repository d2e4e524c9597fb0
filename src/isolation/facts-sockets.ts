/** Facts about the Unix socket that we serve on, and about every socket of ours that others might reach. */
import { readdirSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { errorCode } from '../errors.ts';
import { type MountFacts, type PathFacts, parentFacts, pathFacts, resolved } from './facts-mounts.ts';
import { parseTcpListeners, parseUnixSockets, type TcpListener } from './proc.ts';

/** The socket file as it was when we bound it. */
export interface BoundSocket {
  /** `<dev>:<ino>` of its file. */
  readonly identity: string;
}

export interface SocketFacts {
  readonly path: string;
  /** The socket's folder, links above it resolved but not one at it; undefined where it is not there yet. */
  readonly folder: PathFacts | undefined;
  /** Folders above the socket's folder, from `/` down. */
  readonly parents: readonly PathFacts[];
  readonly file: PathFacts | undefined;
  readonly bound: BoundSocket | undefined;
  /** Listening TCP sockets that this process holds. */
  readonly tcpListeners: readonly TcpListener[];
  /** Abstract Unix sockets that this process holds. */
  readonly abstractNames: readonly string[];
}

export async function gatherSockets(
  config: Config,
  mounts: MountFacts,
  bound: BoundSocket | undefined,
): Promise<SocketFacts> {
  const named = dirname(config.socket.path);
  // /var/run is a link everywhere; what must not be one is the folder itself.
  const folder = join(resolved(dirname(named)), basename(named));
  const [tcp, tcp6, unix] = await Promise.all([readTable('tcp'), readTable('tcp6'), readTable('unix')]);
  const own = ownSocketInodes();
  return {
    path: config.socket.path,
    folder: pathFacts(folder, mounts.all),
    parents: parentFacts(folder, mounts.all),
    file: pathFacts(config.socket.path, mounts.all),
    bound,
    tcpListeners: [...parseTcpListeners(tcp), ...parseTcpListeners(tcp6)].filter(({ inode }) =>
      own.has(inode),
    ),
    abstractNames: parseUnixSockets(unix)
      .filter(({ inode, path }) => path.startsWith('@') && own.has(inode))
      .map(({ path }) => path),
  };
}

function ownSocketInodes(): Set<number> {
  const inodes = new Set<number>();
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const match = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`));
      if (match !== null) inodes.add(Number(match[1]));
    } catch {
      // The descriptor that listed the folder is closed by now.
    }
  }
  return inodes;
}

/**
 * In the thread pool: the kernel walks its whole hash table of sockets for one line, which takes milliseconds.
 * A kernel without IPv6 has no tcp6.
 */
async function readTable(name: string): Promise<string> {
  try {
    return await readFile(`/proc/self/net/${name}`, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}
