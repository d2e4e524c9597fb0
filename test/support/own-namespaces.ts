/** Namespaces of a run's own: what it mounts and starts goes away with it, however it ends. */
import { existsSync } from 'node:fs';

/** Set where this process has them already. */
const INSIDE = 'INSIDE_OWN_NAMESPACES';

/** Starts this process again in new namespaces, in its place; as another user than root it stays where it is. `flags` are unshare's. */
export function enterOwnNamespaces(...flags: readonly string[]): void {
  if (process.getuid?.() !== 0 || process.env[INSIDE] !== undefined) return;
  const unshare = ['/usr/bin/unshare', '/bin/unshare'].find((path) => existsSync(path));
  if (unshare === undefined || process.execve === undefined)
    throw new Error('as root this needs unshare (util-linux)');
  process.execve(
    unshare,
    ['unshare', '--mount', '--propagation', 'private', ...flags, process.execPath, ...process.argv.slice(1)],
    { ...process.env, [INSIDE]: '1' } as NodeJS.ProcessEnv & Record<string, string>,
  );
}
