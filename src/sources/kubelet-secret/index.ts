/** A Kubernetes Secret that kubelet mounts as a volume at `<secretsRoot>/<namespace>/<name>`. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { isSubPathMount, readMounts } from '../../domain/mountinfo.ts';
import type { Source } from '../source.ts';
import { KUBELET_FAULTS, type KubeletFault } from './faults.ts';
import { readGeneration } from './generation.ts';
import { kubeletLayout } from './layout.ts';

export const kubeletSecret = {
  type: 'kubernetesSecret',
  directory: ({ secretsRoot }, { namespace, name }) => join(secretsRoot, namespace, name),
  changedLast: '..data',
  layout: kubeletLayout,
  podVolume: ({ name }, fsGroup) => ({
    secret: {
      secretName: name,
      // No `items`: a key that is taken away would then fail the update, and the old files would stay.
      // With fsGroup kubelet gives the files that group and 0440; without it only "others" includes our UID.
      defaultMode: fsGroup ? 0o440 : 0o444,
      // A missing Secret holds the pod back. An optional one would be an empty folder, and a typo a mystery.
      optional: false,
    },
  }),
  read: (directory, wanted) => {
    const read = readGeneration(directory, wanted);
    return read.kind === 'fault' && read.fault === 'not-kubelet-layout' && mountedBySubPath(directory)
      ? { ...read, fault: 'mounted-by-sub-path' }
      : read;
  },
  faults: KUBELET_FAULTS,
} as const satisfies Source<KubeletFault>;

function mountedBySubPath(directory: string): boolean {
  try {
    // The kernel lists real paths, but /var/run is a symlink in most images.
    return isSubPathMount(realpathSync(directory), readMounts());
  } catch {
    return false; // Deleted in the meantime: the next read reports it.
  }
}
