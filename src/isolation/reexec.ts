/**
 * Start flags that Node takes on its command line alone. The process replaces itself once by execve(2): the
 * pid stays, so signals reach it and its exit code is its own, without a parent to pass them on.
 *
 * Nothing is added to argv but flags, and nothing to the environment.
 *
 * What the permission model takes away: child processes, workers, WASI, the inspector, a further execve, and
 * writing anywhere but the sockets' folders and the audit file. What it does not cover, as tried with Node 26:
 * - reading: it stays open, because the checks stat every folder up to `/` and read every /proc/<pid>, and
 *   /proc/self/root is the whole file system again. The UID and the mounts are the fence for reading.
 * - symbolic links are followed out of a permitted folder, and descriptors that are open already work on.
 * - native addons (koffi is one) do as they like. It is a net under our own mistakes, not a sandbox.
 */
import { dirname } from 'node:path';
import type { Config } from '../config/config.ts';

/** `--allow-net` is unknown before Node 25, where the permission model leaves the network alone. */
const FIRST_NODE_WITH_NET_PERMISSION = 25;

/** What of the configuration decides where the process may write. */
type WritablePlaces = Pick<Config, 'audit'> & {
  readonly socket: Pick<Config['socket'], 'path'>;
  readonly gatewayDriver?: { readonly socket: Pick<Config['socket'], 'path'> } | undefined;
};

/** Flags that `serve` and `check` run under. Pure; `nodeMajor` is an argument for the tests' sake. */
export function startFlags(
  config: WritablePlaces,
  nodeMajor = Number(process.versions.node.split('.')[0]),
): string[] {
  const sockets = [
    config.socket,
    ...(config.gatewayDriver === undefined ? [] : [config.gatewayDriver.socket]),
  ];
  const folders = [...new Set(sockets.map(({ path }) => dirname(path)))];
  return [
    // SIGUSR1 would open the inspector, and whoever attaches to it reads every value.
    '--disable-sigusr1',
    '--disallow-code-generation-from-strings',
    '--permission',
    // koffi is an addon.
    '--allow-addons',
    ...(nodeMajor >= FIRST_NODE_WITH_NET_PERMISSION ? ['--allow-net'] : []),
    '--allow-fs-read=*',
    // Twice: the folder itself may not be there yet, and then Node does not read it as "and all below".
    ...folders.flatMap((folder) => [`--allow-fs-write=${folder}`, `--allow-fs-write=${folder}/*`]),
    ...(config.audit.path === undefined ? [] : [`--allow-fs-write=${config.audit.path}`]),
    // Both warn about the flags above, on every start, in the middle of the log.
    '--disable-warning=PERM0001',
    '--disable-warning=ExperimentalWarning',
  ];
}

/**
 * Replaces this process by itself under {@link startFlags}, unless it runs under them. Flags that it was
 * started with stay: an `--inspect` is for the checks to find, not for us to hide. Returns only where there
 * is nothing to do.
 */
export function reexecOnce(config: WritablePlaces): void {
  const flags = startFlags(config);
  if (flags.every((flag) => process.execArgv.includes(flag))) return;
  // An enforcing permission model forbids execve: an operator chose flags of his own, and the checks say what
  // they lack. A run that has our flags came through the line above, so this can never become a loop.
  const auditsOnly = process.execArgv.includes('--permission-audit');
  if (process.execve === undefined || (process.permission !== undefined && !auditsOnly)) return;
  const kept = process.execArgv.filter((flag) => !flags.includes(flag));
  process.execve(
    process.execPath,
    [process.execPath, ...flags, ...kept, ...process.argv.slice(1)],
    process.env as NodeJS.ProcessEnv & Record<string, string>,
  );
}
