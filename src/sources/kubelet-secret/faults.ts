/** Why a Secret volume has no generation to give, and what a person can do about it. */
export const KUBELET_FAULTS = {
  /** The directory does not exist, or is empty: no Secret (yet, or any more). */
  'secret-missing':
    'check that the Secret exists and is mounted in the resolver at <secretsRoot>/<namespace>/<name>',
  /** There are files but no `..data`: not written by kubelet's atomic writer, so nothing in it can be trusted to be whole. */
  'not-kubelet-layout':
    'mount the Secret as a volume; a folder without ..data cannot be read as one generation',
  /** Keys are mounted one by one with subPath, which kubelet never updates. */
  'mounted-by-sub-path': 'mount the whole Secret: a subPath mount never rotates',
  /** The volume, `..data` or its target is a symlink or a file where a directory belongs, or leads out of the volume. */
  'leads-out-of-volume': 'remove the symlink: the volume must be written by kubelet alone',
  /** `..data` moved at every try. */
  unstable: 'find out what rewrites the volume without pause',
  'too-many-files': 'split the Secret, or mount fewer in one volume',
  'volume-too-large': 'split the Secret, or mount fewer in one volume',
  /** Any other system error. */
  unreadable: "check the volume's defaultMode and fsGroup, and that this UID may read it",
} as const;

export type KubeletFault = keyof typeof KUBELET_FAULTS;
