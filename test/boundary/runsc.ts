/** Debian's gVisor. Its ptrace platform needs no virtualisation. */
import { spawnSync } from 'node:child_process';

const FLAGS = ['--platform=ptrace', '--network=none', '--ignore-cgroups'];

/** Why the tests cannot run it; undefined where they can. */
export const MISSING_RUNSC: string | undefined =
  process.getuid?.() !== 0
    ? 'run the tests as root'
    : spawnSync('runsc', ['--version']).status === 0
      ? undefined
      : 'install runsc, the package of Debian 12, to try a kernel that does not tell who connects';

/** Its output. `before` is bash of the node, in a mount namespace of its own; throws unless the sandbox ends with 0. */
export function runsc(args: readonly string[], before = 'true'): string {
  // What runsc writes to a file overwrites itself: through a pipe it does not.
  const script = `set -eo pipefail; ${before}; "$@" 2>&1 | cat`;
  const run = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', 'bash', '-c', script, 'bash', 'runsc', ...FLAGS, ...args],
    { encoding: 'utf8', timeout: 120_000 },
  );
  if (run.status !== 0) throw new Error(`runsc ended with ${run.status}: ${run.stdout}${run.stderr}`);
  return run.stdout;
}
