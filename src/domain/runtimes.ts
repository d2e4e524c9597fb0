/** What container runtimes look like from inside a container. */

/**
 * Names of a runtime's own process on its way into a container, during an exec or a start: runc and youki name their
 * stages, crun keeps its name or gets that of the memory file that it runs from (15 characters).
 */
export const RUNTIME_INIT_NAMES = /^(?:(?:runc|youki):\[|crun$|memfd:crun_clon$)/;

/**
 * Milliseconds for which such a process is expected. Most are gone in 100, but an agent that spins in a container with
 * a small CPU limit slows down what enters it, too.
 */
export const RUNTIME_INIT_MS = 10_000;

/** Runtimes that put something of their own between a container and the node's kernel. */
export type SandboxedRuntime = 'gvisor' | 'kata';

export const RUNTIME_NAMES: Readonly<Record<SandboxedRuntime, string>> = { gvisor: 'gVisor', kata: 'Kata' };

/**
 * What shows each of them, by file of /proc. gVisor has a version of its own with a date that never changes; Kata shares
 * its files with the guest under one source name, and starts the guest with its own target.
 */
export const RUNTIME_MARKS: Readonly<Record<SandboxedRuntime, Readonly<Record<string, RegExp>>>> = {
  gvisor: { '/proc/version': /^Linux version \S+-gvisor\b|#1 SMP Sun Jan 10 15:06:54 PST 2016$/m },
  kata: {
    '/proc/self/mountinfo': / - (?:virtiofs|9p) kataShared /,
    '/proc/cmdline': /\bkata-containers\.target\b/,
  },
};

/** File systems by which such a runtime shows what is on the node: gVisor's gofer, Kata's share. */
export const SHARED_FILE_SYSTEMS: readonly string[] = ['9p', 'virtiofs'];
