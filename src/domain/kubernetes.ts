/** What lint, the admission policies, inject and the run-time checks decide by. Each list is written here once. */

/** Begins every label and annotation of ours. A fork changes it here, then runs `npm run generate` and injects again. */
export const LABEL_PREFIX = 'secret-resolver/';

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

/** What a container that runs beside the resolver may add. */
export const HARMLESS_CAPABILITIES = ['NET_BIND_SERVICE'] as const;

/** What a supervisor may add as well: it is trusted with the values, and these do not reach the node. */
export const SUPERVISOR_CAPABILITIES = [
  'SYS_PTRACE',
  'DAC_READ_SEARCH',
  'DAC_OVERRIDE',
  'CHOWN',
  'FOWNER',
  'KILL',
  'SETUID',
  'SETGID',
  'NET_ADMIN',
  'NET_RAW',
] as const;

/** Folders of the node that a pod with a resolver may mount, read-only. */
export const HOST_PATHS = [
  '/etc/localtime',
  '/usr/share/zoneinfo',
  '/etc/ssl/certs',
  '/etc/pki/ca-trust/extracted',
  '/usr/share/ca-certificates',
  '/usr/local/share/ca-certificates',
] as const;

/** Places of the node that lead to values, each with what it is: for the message, for no other place is allowed either. `/var/run` is `/run`. */
export const NODE_PATHS: ReadonlyMap<string, string> = new Map([
  ...[
    '/var/lib/kubelet',
    '/var/lib/k0s/kubelet',
    '/var/lib/rancher',
    '/var/snap/microk8s',
    '/var/snap/k8s',
    '/var/lib/microk8s',
    '/var/vcap/data/kubelet',
    '/mnt/kubelet',
  ].map((path) => [path, "the kubelet's folder, with a copy of every Secret of the node"] as const),
  ...[
    '/run/containerd',
    '/run/k3s/containerd',
    '/run/k0s',
    '/run/crio',
    '/run/cri-dockerd.sock',
    '/run/docker.sock',
    '/run/dockershim.sock',
    '/run/podman',
    '/run/user',
    '/run/nri',
    '/run/buildkit',
    '/run/host-containerd',
    '/var/lib/containerd',
    '/var/lib/containers',
    '/var/lib/docker',
    '/var/lib/k0s/containerd',
  ].map((path) => [path, 'the container runtime, which starts any container and reads any layer'] as const),
  ['/proc', "the node's processes"],
  ['/dev', "the node's devices"],
  ['/sys', "the node's kernel"],
  ['/etc/kubernetes', 'credentials of the node'],
  ['/var/lib/etcd', 'the store of every Secret of the cluster'],
]);

/** Volumes that Pod Security's "restricted" allows, and images; hostPath has a rule of its own. */
export const VOLUME_KINDS = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'hostPath',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
] as const;

/** The CSI driver that mounts secrets of a store, and writes them to Secrets where its class says so. */
export const SECRETS_STORE_DRIVER = 'secrets-store.csi.k8s.io';

/** Variables that load code into a Node process, write its memory or traffic to files, or make it talk to a debugger. By prefix where one ends in `*`. */
export const LOADER_VARIABLES = [
  'NODE_OPTIONS',
  'NODE_PATH',
  'NODE_REPL_EXTERNAL_MODULE',
  'NODE_V8_COVERAGE',
  'NODE_DEBUG',
  'NODE_DEBUG_NATIVE',
  'NODE_REDIRECT_WARNINGS',
  'NODE_COMPILE_CACHE',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'OPENSSL_CONF',
  'OPENSSL_MODULES',
  'OPENSSL_ENGINES',
  'SSLKEYLOGFILE',
  'GCONV_PATH',
  'GRPC_TRACE',
  'LD_*',
] as const;

export function isLoaderVariable(name: string): boolean {
  return LOADER_VARIABLES.some((known) =>
    known.endsWith('*') ? name.startsWith(known.slice(0, -1)) : name === known,
  );
}

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
