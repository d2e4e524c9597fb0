/** Attacks on other processes by system calls: ptrace, process_vm_readv, pidfd_getfd, kill. */
import { closeSync } from 'node:fs';
import {
  copyForeignDescriptor,
  openPidFd,
  readProcessMemory,
  traceAndRelease,
} from '../../native/attacks.ts';
import { errnoName, type Gain } from './answer.ts';
import { onEachProcess } from './each-process.ts';
import { mappedAddresses } from './processes.ts';

/** Descriptor numbers tried of each process. The permission is the process's: one number would tell. */
const MAX_DESCRIPTORS = 32;
/** Where no mapping is known. The kernel decides on the permission before it looks at the address. */
const ANY_ADDRESS = 0x40_0000n;

export const attackByPtrace = onEachProcess(({ pid }) => {
  traceAndRelease(pid);
  return 'attached';
});
export const attackMemory = onEachProcess(({ pid }) => foreignMemory(pid));
export const attackDescriptors = onEachProcess(({ pid }) => foreignDescriptor(pid));
export const attackBySignals = onEachProcess(({ pid }, { realSignals }) => signal(pid, realSignals));

function foreignMemory(pid: number): Gain {
  const [address = ANY_ADDRESS] = mappedAddresses(pid);
  try {
    return `${readProcessMemory(pid, address, 64)} bytes read`;
  } catch (error) {
    if (errnoName(error) === 'EFAULT') return 'permitted, and no page is at the address tried';
    throw error;
  }
}

function foreignDescriptor(pid: number): Gain {
  const pidFd = openPidFd(pid);
  try {
    for (let fd = 0; fd < MAX_DESCRIPTORS; fd++) {
      try {
        closeSync(copyForeignDescriptor(pidFd, fd));
        return `descriptor ${fd} copied`;
      } catch (error) {
        // EBADF comes after the permission was granted: that number is not open there, another is.
        if (errnoName(error) !== 'EBADF') throw error;
      }
    }
  } finally {
    closeSync(pidFd);
  }
  return 'permitted, and none of the descriptors tried is open';
}

/** Signal 0 asks for the permission and sends nothing. */
function signal(pid: number, real: boolean): Gain {
  process.kill(pid, 0);
  if (!real) return 'a signal would have been delivered';
  // SIGUSR1 opens the inspector of a Node process that did not switch it off.
  process.kill(pid, 'SIGUSR1');
  process.kill(pid, 'SIGTERM');
  return 'SIGUSR1 and SIGTERM delivered';
}
