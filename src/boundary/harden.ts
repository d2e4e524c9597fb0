/**
 * What the process does to itself before the first value is read. Each step stands alone: one that fails is
 * reported and does not keep the others from being taken; the checks then fail for it.
 *
 * The order in a command is: load the configuration, `reexecOnce`, `harden`, gather and judge, and only then
 * open a Secret. PR_SET_DUMPABLE does not survive an execve, so hardening comes after it.
 */

import { access } from 'node:fs/promises';
import { errorCode } from '../domain/errors.ts';
import {
  getNoNewPrivileges,
  NativeError,
  setCoreLimitZero,
  setNoNewPrivileges,
  setNonDumpable,
} from '../native/native.ts';

/** Access for our own UID alone. What must be more open, such as the socket, sets its own mode. */
const UMASK = 0o077;

type HardeningStep = 'dumpable' | 'core-limit' | 'no-new-privileges' | 'umask';

export interface HardeningResult {
  /** Whether the process had them before; undefined where the kernel does not tell. */
  readonly hadNoNewPrivileges: boolean | undefined;
  /** Steps that the kernel refused, with the errno or error code. */
  readonly failed: readonly { readonly step: HardeningStep; readonly code: string }[];
}

/** Makes the process non-dumpable, forbids cores and new privileges, and closes the umask. Safe to call twice. */
export function harden(): HardeningResult {
  const failed: { step: HardeningStep; code: string }[] = [];
  const attempt = <T>(step: HardeningStep, work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      failed.push({ step, code: error instanceof NativeError ? `errno ${error.errno}` : errorCode(error) });
      return undefined;
    }
  };
  const hadNoNewPrivileges = attempt('no-new-privileges', getNoNewPrivileges);
  attempt('dumpable', setNonDumpable);
  attempt('core-limit', setCoreLimitZero);
  attempt('no-new-privileges', setNoNewPrivileges);
  attempt('umask', () => process.umask(UMASK));
  return { hadNoNewPrivileges, failed };
}

/**
 * Starts all threads of libuv's pool, which creates them together at the first request. Later there may be none to
 * have: libuv aborts the process where the agent has used up the PIDs of the pod.
 */
export async function startThreadPool(): Promise<void> {
  await access('/proc/self');
}
