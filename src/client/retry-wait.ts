/** The wait between two attempts to connect. A new socket file ends it at once. */
import { lstatSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Milliseconds between two checks of the socket file. One lstat(2) takes a few microseconds; an inotify watch would
 * need permission to list the directory, which the resolver grants to no other UID.
 */
const CHECK_INTERVAL_MS = 20;

/** Identifies the socket file at a path. Changes each time the socket is bound again; empty if there is no file. */
export function socketIdentity(path: string): string {
  try {
    const { dev, ino, ctimeNs } = lstatSync(path, { bigint: true });
    // File systems reuse inode numbers; the time distinguishes the two files.
    return `${dev}:${ino}:${ctimeNs}`;
  } catch {
    return '';
  }
}

/**
 * Waits for `ms`, until the socket at the path differs from `seen`, or until `signal` aborts. Returns true for a new
 * socket: its process has just started, so no attempt has failed yet.
 */
export async function waitForSocket(
  path: string,
  seen: string,
  ms: number,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = performance.now() + ms;
  while (!signal.aborted) {
    const now = socketIdentity(path);
    if (now !== '' && now !== seen) return true;
    const left = deadline - performance.now();
    if (left <= 0) return false;
    await sleep(Math.min(left, CHECK_INTERVAL_MS), undefined, { signal }).catch(() => {});
  }
  return false;
}
