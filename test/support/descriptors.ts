import { readdirSync, readlinkSync } from 'node:fs';

/** What this process has open, one line a descriptor, sorted: compared before and after, it shows a leak by name. */
export function openDescriptors(): string[] {
  return readdirSync('/proc/self/fd')
    .flatMap((fd) => {
      try {
        const target = readlinkSync(`/proc/self/fd/${fd}`);
        // The listing's own descriptor is in the list.
        return /^\/proc\/\d+\/fd$/.test(target) ? [] : [`${fd} ${target}`];
      } catch {
        return [];
      }
    })
    .sort();
}
