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
