/** What lint, the admission policies, inject and the run-time checks decide by. Each list is written here once. */

/** UID and GID of the resolver by default: not root, not OpenShell's 1000 and 1337, not 65534. */
export const DEFAULT_UID = 10771;

/** The overflow UID: every id without a name in this user namespace shows as it. */
export const UNMAPPED_UID = 65534;

/** UIDs that the resolver must not have, each with whose it is. */
export const RESERVED_UIDS: ReadonlyMap<number, string> = new Map([
  [0, 'root'],
  [1000, 'the usual UID of an agent'],
  [1337, 'the UID of proxies such as the network supervisor'],
  [UNMAPPED_UID, '"not mapped in this user namespace", so it is everybody'],
]);

/** Capabilities of a neighbour that break the boundary, each with what its holder can do to the resolver. */
export const DANGEROUS_CAPABILITIES: ReadonlyMap<string, string> = new Map([
  ['SYS_PTRACE', 'reads the memory of every process'],
  ['SYS_ADMIN', 'mounts, enters namespaces and traces'],
  ['SETUID', "becomes the resolver's UID"],
  ['DAC_OVERRIDE', 'passes the modes of files'],
  ['DAC_READ_SEARCH', 'reads past the modes of files'],
  ['SYS_MODULE', 'loads code into the kernel'],
  ['SYS_RAWIO', 'reads physical memory'],
  ['BPF', 'runs programs in the kernel'],
  ['PERFMON', 'samples the memory and registers of other processes'],
  ['KILL', 'stops or ends the resolver by a signal'],
  ['CHECKPOINT_RESTORE', 'chooses its PID and its /proc/<pid>/exe, so passes for a listed peer'],
  ['SYS_NICE', 'takes the CPU away from the resolver by its scheduling class and CPU mask'],
  ['SYS_RESOURCE', 'ends the resolver by its resource limits (prlimit)'],
  ['SYS_TIME', 'sets the clock, by which credentials expire'],
  ['SYS_BOOT', 'ends every process of the PID namespace (reboot)'],
]);

/** Folders of the node that hold every pod's volumes, or a socket that starts any container. */
export const NODE_FOLDERS = [
  '/var/lib/kubelet',
  '/run/containerd',
  '/run/crio',
  '/run/docker.sock',
  '/proc',
  '/dev',
  '/sys/fs/cgroup',
] as const;

/** Folders that OpenShell keeps for itself. */
export const RESERVED_FOLDERS = [
  '/run/openshell',
  '/run/openshell-sidecar',
  '/etc/openshell',
  '/etc/openshell-tls',
  '/opt/openshell',
] as const;

/** Folders that a supervisor cannot hide from its children by a private mount, so no socket volume may be one. */
export const SHARED_FOLDERS = ['/', '/run', '/var', '/var/run', '/tmp', '/etc'] as const;
