/** Attacks on other processes: through the files of /proc, and by ptrace, process_vm_readv, pidfd_getfd and kill. */
import { closeSync, readdirSync, readlinkSync } from 'node:fs';
import { errorCode } from '../../domain/errors.ts';
import {
  copyForeignDescriptor,
  openPidFd,
  readProcessMemory,
  traceAndRelease,
} from '../../native/attacks.ts';
import { readText } from '../facts/readable.ts';
import { gainInFile, readableBytes } from './read.ts';
import { describeProcess, type ProcessEntry, processesToAttack } from './surroundings.ts';
import type { Gain } from './tries.ts';
import type { AttackContext, AttackRun } from './types.ts';

/** Mappings of a process tried before its memory counts as empty. */
const MAX_MAPPINGS = 16;
/** Descriptor numbers tried of each process. The permission is the process's: one number would tell. */
const MAX_DESCRIPTORS = 32;
/** Where no mapping is known. The kernel decides on the permission before it looks at the address. */
const ANY_ADDRESS = 0x40_0000n;

export const attacks = {
  'process-environment': onEachProcess(({ pid }) => gainInFile(`/proc/${pid}/environ`)),
  'process-memory': onEachProcess(({ pid }) => memoryOf(pid)),
  'process-maps': onEachProcess(({ pid }) => gainInFile(`/proc/${pid}/maps`)),
  'process-descriptors': onEachProcess(({ pid }) => {
    const count = readdirSync(`/proc/${pid}/fd`).length;
    return count === 0 ? undefined : `${count} descriptors listed`;
  }),
  'process-root': onEachProcess(({ pid }) => `${readdirSync(`/proc/${pid}/root/`).length} entries listed`),
  'process-cwd': onEachProcess(({ pid }) => linkOf(`/proc/${pid}/cwd`)),
  'process-exe': onEachProcess(({ pid }) => linkOf(`/proc/${pid}/exe`)),
  'process-namespaces': onEachProcess(({ pid }) => linkOf(`/proc/${pid}/ns/mnt`)),
  ptrace: onEachProcess(({ pid }) => {
    traceAndRelease(pid);
    return 'attached';
  }),
  'process-vm-readv': onEachProcess(({ pid }) => foreignMemory(pid)),
  'pidfd-getfd': onEachProcess(({ pid }) => foreignDescriptor(pid)),
  signals: onEachProcess(({ pid }, { realSignals }) => signal(pid, realSignals)),
};

/** An attack that is made on every foreign process. `act` returns what it gained, or throws the kernel's refusal. */
function onEachProcess(act: (entry: ProcessEntry, context: AttackContext) => Gain): AttackRun {
  return (context, tries) => {
    for (const entry of processesToAttack(context, tries)) {
      tries.attemptOnProcess(describeProcess(entry), () => act(entry, context));
    }
  };
}

function linkOf(path: string): Gain {
  readlinkSync(path);
  return 'link resolved';
}

function memoryOf(pid: number): Gain {
  const path = `/proc/${pid}/mem`;
  let opened: Gain;
  try {
    readableBytes(path, 0);
  } catch (error) {
    // Nothing is mapped at address 0 of a process: the kernel let us in and found no page. Of a kernel thread, which
    // has no memory, it reads as empty.
    if (errorCode(error) !== 'EIO') throw error;
    opened = 'opened';
  }
  for (const address of mappedAddresses(pid)) {
    try {
      const bytes = readableBytes(path, Number(address));
      if (bytes > 0) return `${bytes} bytes read`;
    } catch {
      // A page of the device kind; the next mapping may be plain.
    }
  }
  return opened;
}

/** Start of some readable mappings of a process; empty where its maps cannot be read. */
function mappedAddresses(pid: number): bigint[] {
  return (readText(`/proc/${pid}/maps`) ?? '')
    .split('\n')
    .filter((line) => /^[0-9a-f]+-[0-9a-f]+ r/.test(line) && !line.includes('[v'))
    .slice(0, MAX_MAPPINGS)
    .map((line) => BigInt(`0x${line.slice(0, line.indexOf('-'))}`));
}

function foreignMemory(pid: number): Gain {
  const [address = ANY_ADDRESS] = mappedAddresses(pid);
  try {
    return `${readProcessMemory(pid, address, 64)} bytes read`;
  } catch (error) {
    if (errorCode(error) === 'EFAULT') return 'permitted, and no page is at the address tried';
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
        if (errorCode(error) !== 'EBADF') throw error;
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
