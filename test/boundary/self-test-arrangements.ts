/**
 * For each attack a pod in which it succeeds. An attack that is not in here could be one that cannot succeed, and
 * would prove nothing by failing: self-test.test.ts asks for the table to be complete.
 */
import { AGENT_UID, type PodSpec, podWith, SECRET_MOUNT, SOCKET_VOLUME } from './self-test-pod-spec.ts';

export interface Arrangement {
  /** What is wrong with the pod, in words. */
  readonly fault: string;
  readonly pod: PodSpec;
  /** What the report says of it: found in the target or the answer of a try that is `broken`. */
  readonly says: RegExp;
}

const SHARED_UID = 'the resolver runs under the UID of the agent, and is dumpable';
const sharedUid = podWith({ victim: { uid: AGENT_UID, dumpable: true }, socketFolder: { uid: AGENT_UID } });

const NESTED = "the agent mounts the socket's volume writable";
const nested = podWith({ agent: { socketVolumeWritable: true } });

const WRITABLE = `${NESTED}, and anybody may write to the folder of the socket`;
const writable = podWith({ agent: { socketVolumeWritable: true }, socketFolder: { mode: 0o777 } });

const ADMITTED = "the resolver lists the agent's UID as a caller";
const admitted = podWith({ victim: { admits: [0, AGENT_UID] } });

function byUid(says: RegExp): Arrangement {
  return { fault: SHARED_UID, pod: sharedUid, says };
}

export const ARRANGEMENTS: Readonly<Record<string, Arrangement>> = {
  'secret-paths': {
    fault: 'the agent mounts the Secret where the resolver does',
    pod: podWith({ agent: { secretMountedAt: SECRET_MOUNT } }),
    says: /files read, [1-9][0-9]* bytes/,
  },
  'secret-volumes': {
    fault: 'the agent mounts the Secret elsewhere',
    pod: podWith({ agent: { secretMountedAt: '/etc/credentials' } }),
    says: /^\/etc\/credentials: [0-9]+ files read, [1-9][0-9]* bytes/,
  },
  'service-account-token': {
    fault: 'the token is mounted for the agent',
    pod: podWith({ agent: { serviceAccountToken: true } }),
    says: /serviceaccount\/token: [1-9][0-9]* bytes read/,
  },
  'process-environment': byUid(/[1-9][0-9]* bytes read/),
  'process-memory': byUid(/64 bytes read/),
  'process-maps': byUid(/[1-9][0-9]* bytes read/),
  'process-descriptors': byUid(/descriptors listed/),
  'process-root': byUid(/entries listed/),
  'process-cwd': byUid(/link resolved/),
  'process-exe': byUid(/link resolved/),
  'process-namespaces': byUid(/link resolved/),
  ptrace: byUid(/attached/),
  'process-vm-readv': byUid(/64 bytes read/),
  'pidfd-getfd': byUid(/descriptor [0-9]+ copied/),
  signals: byUid(/would have been delivered/),
  'socket-connect': { fault: ADMITTED, pod: admitted, says: /answered with [1-9][0-9]* bytes/ },
  'socket-rpcs': {
    fault: ADMITTED,
    pod: admitted,
    says: /GetProviderEnvironment: .*message of [1-9][0-9]* bytes/,
  },
  'handed-over-descriptor': {
    fault: 'the supervisor starts the agent with a connection of its own still open',
    pod: podWith({ agent: { inheritsConnection: true } }),
    says: /inherited descriptor [0-9]+: .*message of [1-9][0-9]* bytes/,
  },
  inspector: {
    fault: 'the resolver runs with --inspect',
    pod: podWith({ victim: { inspector: true } }),
    says: /127\.0\.0\.1:9229: answers as an inspector/,
  },
  'abstract-sockets': {
    fault: 'the resolver listens on an abstract socket too, for everybody',
    pod: podWith({ victim: { abstractName: 'resolver', admits: [0, AGENT_UID] } }),
    says: /@resolver .*message of [1-9][0-9]* bytes/,
  },
  'other-sockets': {
    fault: 'the resolver listens at a second path too, for everybody',
    pod: podWith({
      victim: { secondPath: `${SOCKET_VOLUME}/socket/debug.sock`, admits: [0, AGENT_UID] },
    }),
    says: /socket\/debug\.sock .*message of [1-9][0-9]* bytes/,
  },
  'tcp-services': {
    fault: 'the credential service is on TCP too',
    pod: podWith({ victim: { credentialPort: 8087 } }),
    says: /127\.0\.0\.1:8087 .*message of [1-9][0-9]* bytes/,
  },
  'environment-search': {
    fault: "a credential is in the agent's environment",
    pod: podWith({ agent: { credentialInEnvironment: true } }),
    says: /variable GITLAB_TOKEN: GitLab token/,
  },
  'command-line-search': {
    fault: "a credential is among the resolver's arguments",
    pod: podWith({ victim: { credentialInArguments: true } }),
    says: /uid 1338\): GitLab token/,
  },
  'file-search': {
    fault: 'somebody left a credential in a file',
    pod: podWith({ agent: { credentialInFile: true } }),
    says: /\/tmp\/\.netrc:2: GitLab token/,
  },
  'socket-rename': { fault: WRITABLE, pod: writable, says: /renamed, and put back/ },
  'socket-unlink': { fault: WRITABLE, pod: writable, says: /can be unlinked/ },
  'socket-replace': { fault: WRITABLE, pod: writable, says: /resolver\.sock: replaced, and put back/ },
  'socket-bind': { fault: WRITABLE, pod: writable, says: /bound, and closed/ },
  'socket-symlink': { fault: WRITABLE, pod: writable, says: /resolver\.sock: replaced, and put back/ },
  'socket-mode': {
    fault: "the agent's UID owns the folder of the socket",
    pod: podWith({ agent: { socketVolumeWritable: true }, socketFolder: { uid: AGENT_UID, mode: 0o777 } }),
    says: /modes could be set/,
  },
  'socket-mount': {
    fault: 'the agent has CAP_SYS_ADMIN',
    pod: podWith({ agent: { capabilities: ['sys_admin'] } }),
    says: /resolver\.sock: mounted over, and unmounted/,
  },
  'directory-rename': { fault: NESTED, pod: nested, says: /socket: renamed, and put back/ },
  'directory-symlink': { fault: NESTED, pod: nested, says: /socket: replaced, and put back/ },
  backlog: {
    fault: 'a refused connection keeps the resolver busy for 20 ms',
    pod: podWith({ victim: { refusalCostMs: 20 } }),
    says: /nobody else would be served/,
  },
};
