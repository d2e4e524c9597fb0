/** Why a Secret volume has no generation, and how to fix it. */
export const KUBELET_FAULTS = {
  /** The directory is missing or empty: the Secret does not exist yet, or no longer. */
  'secret-missing':
    'check that the Secret exists and is mounted in the resolver at <secretsRoot>/<namespace>/<name>',
  /** Files but no `..data`: kubelet's atomic writer did not write them, so they may be incomplete. */
  'not-kubelet-layout':
    'mount the Secret as a volume; a folder without ..data cannot be read as one generation',
  /** Single keys are mounted with subPath, which kubelet never updates. */
  'mounted-by-sub-path': 'mount the whole Secret: a subPath mount never rotates',
  /** The volume, `..data` or its target is a symlink or a file instead of a directory, or leads out of the volume. */
  'leads-out-of-volume': 'remove the symlink: the volume must be written by kubelet alone',
} as const;

export type KubeletFault = keyof typeof KUBELET_FAULTS;
