/** The wait between two attempts to reach the resolver. A socket that is put in place meanwhile ends it at once. */
import { lstatSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Milliseconds between two looks at the socket file. A look is one lstat(2) of a few microseconds; a watch on the
 * folder would need the right to list it, which the resolver gives to nobody.
 */
const LOOK_INTERVAL_MS = 20;

/** Which socket stands at a path: another text after each time that it was bound anew, empty where there is none. */
export function socketIdentity(path: string): string {
  try {
    const { dev, ino, ctimeNs } = lstatSync(path, { bigint: true });
    // File systems give inode numbers out again; the time tells the two apart.
    return `${dev}:${ino}:${ctimeNs}`;
  } catch {
    return '';
  }
}

/**
 * Waits so many milliseconds, or until another socket than `seen` stands at the path, or until `signal`. Says
 * whether it was the socket: the process behind it has just started, and nothing has failed with it yet.
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
    await sleep(Math.min(left, LOOK_INTERVAL_MS), undefined, { signal }).catch(() => {});
  }
  return false;
}
