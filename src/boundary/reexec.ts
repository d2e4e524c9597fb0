/**
 * Start flags that Node takes on its command line alone. The process replaces itself once by execve(2): the
 * pid stays, so signals reach it and its exit code is its own, without a parent to pass them on. The image gives
 * node the flags for the default places at once, and nothing is replaced where the configuration keeps to those.
 *
 * Nothing is added to argv but flags, and nothing to the environment.
 *
 * What the permission model takes away: child processes, workers, WASI, the inspector, a further execve, and
 * writing anywhere but the sockets' folders and the audit file, or the two folders of `egress`. What it does not
 * cover, as tried with Node 26:
 * - reading: it stays open, because the checks stat every folder up to `/` and read every /proc/<pid>, and
 *   /proc/self/root is the whole file system again. The UID and the mounts are the fence for reading.
 * - symbolic links are followed out of a permitted folder, and descriptors that are open already work on.
 * - native addons (koffi is one) do as they like. It is a net under our own mistakes, not a sandbox.
 */
import { dirname } from 'node:path';
import { type Config, socketPaths } from '../config/config.ts';

/** `--allow-net` is unknown before Node 25, where the permission model leaves the network alone. */
const FIRST_NODE_WITH_NET_PERMISSION = 25;

/**
 * Flags of V8's own. deploy/image/start.cjs lists those of them that V8 would refuse compiled code for.
 * All but the first keep the memory of a long life small, which a pod pays for as long as it lives.
 */
export const V8_FLAGS = [
  '--disallow-code-generation-from-strings',
  // The heap is a dozen MiB: to wake threads for it takes longer than to collect it.
  '--single-threaded-gc',
  // MiB. V8 keeps twice as much for short-lived objects, and 32 times as much unless told otherwise.
  '--max-semi-space-size=1',
  // As large from the start on.
  '--min-semi-space-size=1',
  // By how much the heap may grow before all of it is collected. Unless told otherwise V8 lets it become four times as large.
  '--heap-growing-percent=20',
  // A rotation comes once an hour: its code would be thrown away in between, and compiled again while it waits.
  '--no-flush-bytecode',
  // For `serve`, which knows when it rests (src/daemon/idle-collection.ts).
  '--expose-gc',
];

/** What of the configuration decides where the process may write. */
type WritablePlaces = Pick<Config, 'audit'> & Parameters<typeof socketPaths>[0];

/**
 * Flags that `serve`, `check` and `egress` run under, with the folders that they write to. Pure; `nodeMajor` is an
 * argument for the tests' sake.
 */
export function startFlags(
  config: WritablePlaces,
  nodeMajor = Number(process.versions.node.split('.')[0]),
  folders: readonly string[] = [...new Set(socketPaths(config).map(dirname))],
): string[] {
  return [
    // SIGUSR1 would open the inspector, and whoever attaches to it reads every value.
    '--disable-sigusr1',
    ...V8_FLAGS,
    // Threads that compile what is called often. Each takes memory of its own.
    '--v8-pool-size=1',
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
 * What the image gives node besides {@link startFlags}: the right to be replaced once more, for a configuration that
 * needs other flags. It is given back before anything else is done.
 */
export const ENTRY_FLAGS = ['--allow-child-process', '--disable-warning=PERM0002'];

/**
 * Replaces this process by itself under {@link startFlags}, unless it runs under them and may start nothing.
 * Flags that it was started with stay, but for those that permit something: an `--inspect` is for the checks to
 * find, not for us to hide. Returns only where there is nothing left to do, and the checks say what is lacking.
 */
export function reexecOnce(config: WritablePlaces, folders?: readonly string[]): void {
  const flags = startFlags(config, undefined, folders);
  if (flags.every((flag) => process.execArgv.includes(flag)) && giveUpChildren()) return;
  // An enforcing permission model forbids execve, unless it permits children: an operator chose flags of his own.
  if (process.execve === undefined || !mayStartOthers()) return;
  const next = [...flags, ...withoutPermits(process.execArgv).filter((flag) => !flags.includes(flag))];
  // What is as it would become is not replaced again: this can never become a loop.
  if (next.join('\0') === process.execArgv.join('\0')) return;
  process.execve(
    process.execPath,
    [process.execPath, ...next, ...process.argv.slice(1)],
    process.env as NodeJS.ProcessEnv & Record<string, string>,
  );
}

/** Whether Node lets this process start another, or be replaced by one. A model that only audits forbids nothing. */
function mayStartOthers(): boolean {
  const { permission } = process;
  return (
    permission === undefined || process.execArgv.includes('--permission-audit') || permission.has('child')
  );
}

/** Gives the right to start others back, for good. False where there was one and it is still there. */
function giveUpChildren(): boolean {
  const { permission } = process;
  if (permission === undefined || !permission.has('child')) return true;
  // Node before 26 has no `drop`.
  permission.drop?.('child');
  return !permission.has('child');
}

/** The flags without those that permit something. */
function withoutPermits(flags: readonly string[]): string[] {
  return flags.filter(
    (flag, at) =>
      !(flag.startsWith('--allow-') || ENTRY_FLAGS.includes(flag)) &&
      // A path may stand apart from its flag.
      !(/^--allow-fs-(read|write)$/.test(flags[at - 1] ?? '') && !flag.startsWith('-')),
  );
}
