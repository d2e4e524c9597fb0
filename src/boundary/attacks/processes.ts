/** Attacks on other processes through the files of /proc. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { Gain } from './answer.ts';
import { onEachProcess } from './each-process.ts';
import { readableBytes } from './read.ts';

/** Mappings of a process tried before its memory counts as empty. */
const MAX_MAPPINGS = 16;

/** Kernel threads open and hold nothing: no bytes is no gain. */
function bytesOf(path: string): Gain {
  const bytes = readableBytes(path);
  return bytes === 0 ? undefined : `${bytes} bytes read`;
}

function linkOf(path: string): Gain {
  readlinkSync(path);
  return 'link resolved';
}

export const attackEnvironment = onEachProcess(({ pid }) => bytesOf(`/proc/${pid}/environ`));
export const attackMemoryFile = onEachProcess(({ pid }) => memoryOf(pid));
export const attackMaps = onEachProcess(({ pid }) => bytesOf(`/proc/${pid}/maps`));
export const attackDescriptorList = onEachProcess(({ pid }) => {
  const count = readdirSync(`/proc/${pid}/fd`).length;
  return count === 0 ? undefined : `${count} descriptors listed`;
});
export const attackRoot = onEachProcess(
  ({ pid }) => `${readdirSync(`/proc/${pid}/root/`).length} entries listed`,
);
export const attackCwd = onEachProcess(({ pid }) => linkOf(`/proc/${pid}/cwd`));
export const attackExe = onEachProcess(({ pid }) => linkOf(`/proc/${pid}/exe`));
export const attackNamespaces = onEachProcess(({ pid }) => linkOf(`/proc/${pid}/ns/mnt`));

function memoryOf(pid: number): Gain {
  const path = `/proc/${pid}/mem`;
  let opened: Gain;
  try {
    readableBytes(path, 0);
  } catch (error) {
    // Nothing is mapped at address 0 of a process: the kernel let us in and found no page. Of a kernel thread, which
    // has no memory, it reads as empty.
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
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
export function mappedAddresses(pid: number): bigint[] {
  try {
    return readFileSync(`/proc/${pid}/maps`, 'latin1')
      .split('\n')
      .filter((line) => /^[0-9a-f]+-[0-9a-f]+ r/.test(line) && !line.includes('[v'))
      .slice(0, MAX_MAPPINGS)
      .map((line) => BigInt(`0x${line.slice(0, line.indexOf('-'))}`));
  } catch {
    return [];
  }
}
