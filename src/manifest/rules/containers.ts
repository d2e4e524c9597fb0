/** Rules about users, privileges and processes: what lets another container become or look into the resolver. */
import { asMap } from '../data.ts';
import { RESERVED_UIDS } from '../names.ts';
import { type Container, isWithin, normalPath, runsBesideResolver } from '../pod.ts';
import type { Fault, PodRule, PodSubject } from './rule.ts';

/** Each lets a process read another one's memory, become another user, or pass file modes. */
const DANGEROUS_CAPABILITIES = new Set([
  'ALL',
  'SYS_PTRACE',
  'SYS_ADMIN',
  'SETUID',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'SYS_MODULE',
  'SYS_RAWIO',
  'BPF',
  'PERFMON',
]);

/** Folders of the node that hold every pod's volumes, or a socket that can start any container. */
const NODE_FOLDERS = [
  '/var/lib/kubelet',
  '/run/containerd',
  '/run/crio',
  '/run/docker.sock',
  '/proc',
  '/dev',
  '/sys/fs/cgroup',
];

/** Containers other than the resolver. */
function others({ pod, resolver }: PodSubject): Container[] {
  return pod.containers.filter((container) => container !== resolver);
}

function isSupervisor({ roles, combined }: PodSubject, container: Container): boolean {
  return !combined && roles.supervisors.includes(container.name);
}

export const CONTAINER_RULES: readonly PodRule[] = [
  {
    about: 'pod',
    id: 'uid-not-explicit',
    severity: 'error',
    why: "Where the manifest gives no UID the image does, and the next build of it may choose the resolver's.",
    remedy: 'Write securityContext.runAsUser for the container, or for the pod.',
    *check(subject) {
      for (const container of others(subject)) {
        if (container.uid !== undefined) continue;
        yield { path: container.path, message: `container ${container.name} has no explicit runAsUser` };
      }
    },
  },
  {
    about: 'pod',
    id: 'resolver-uid-shared',
    severity: 'error',
    why: "A process of the resolver's UID may read its memory, signal it and replace its socket.",
    remedy: 'Give every container a UID of its own that is not the resolver’s.',
    *check(subject) {
      const { resolver } = subject;
      for (const container of others(subject)) {
        if (container.uid === undefined || container.uid !== resolver.uid) continue;
        yield {
          path: [...container.path, 'securityContext', 'runAsUser'],
          message: `container ${container.name} runs as UID ${container.uid}, which is the resolver's`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'supervisor-uid-shared',
    severity: 'error',
    why: "The socket tells callers apart by UID: whoever has the supervisor's gets what the supervisor gets.",
    remedy: 'Give the supervisor a UID that no other container has while it runs.',
    *check(subject) {
      const supervisors = subject.pod.containers.filter(({ name }) =>
        subject.roles.supervisors.includes(name),
      );
      for (const container of others(subject)) {
        if (supervisors.includes(container) || !runsBesideResolver(subject.pod, container)) continue;
        const twin = supervisors.find(({ uid }) => uid !== undefined && uid === container.uid);
        if (twin === undefined) continue;
        yield {
          path: [...container.path, 'securityContext', 'runAsUser'],
          message: `container ${container.name} runs as UID ${container.uid}, which is the supervisor ${twin.name}'s`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'reserved-uid',
    severity: 'error',
    why: 'Reserved UIDs are those of root, of agents, of proxies, and the one that the kernel shows for "not mapped".',
    remedy: 'Run the resolver as a UID of its own, such as 10771, and no supervisor as 65534.',
    *check(subject) {
      const { resolver, pod, roles } = subject;
      const whose = resolver.uid === undefined ? 'not set' : RESERVED_UIDS.get(resolver.uid);
      if (whose !== undefined) {
        yield {
          path: [...resolver.path, 'securityContext', 'runAsUser'],
          message: `the resolver's UID ${resolver.uid === undefined ? 'is' : `${resolver.uid} is`} ${whose}`,
        };
      }
      for (const container of pod.containers) {
        if (container.uid !== 65534 || !roles.supervisors.includes(container.name)) continue;
        yield {
          path: [...container.path, 'securityContext', 'runAsUser'],
          message: `the supervisor ${container.name} runs as UID 65534, which is always refused`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'privileged',
    severity: 'error',
    why: "A privileged container has every capability and every device: it reads the node's memory and all mounts.",
    remedy: 'Take out securityContext.privileged.',
    *check(subject) {
      for (const container of subject.pod.containers) {
        if (!container.privileged) continue;
        yield {
          path: [...container.path, 'securityContext', 'privileged'],
          message: `container ${container.name} is privileged`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'capability',
    severity: 'error',
    why: "The capability lets a process become the resolver's UID, read its memory, or pass the modes of its files.",
    remedy: 'Take it out of capabilities.add, and write drop: [ALL].',
    *check(subject) {
      for (const container of subject.pod.containers) {
        for (const name of container.addedCapabilities) {
          if (!DANGEROUS_CAPABILITIES.has(name)) continue;
          // A network supervisor that attributes connections to processes needs some: it is trusted with the values anyway.
          const trusted = isSupervisor(subject, container) && name !== 'SYS_ADMIN' && name !== 'ALL';
          yield {
            path: [...container.path, 'securityContext', 'capabilities', 'add'],
            message: `container ${container.name} adds ${name}${trusted ? ', which puts it inside the trusted base' : ''}`,
            ...(trusted ? { severity: 'note' as const } : {}),
          };
        }
      }
    },
  },
  {
    about: 'pod',
    id: 'host-pid',
    severity: 'error',
    why: 'With hostPID the processes of the pod see, and as root may read, every process of the node.',
    remedy: 'Take out hostPID.',
    *check({ pod }) {
      if (pod.spec.hostPID === true) yield { path: ['hostPID'], message: 'hostPID is true' };
    },
  },
  {
    about: 'pod',
    id: 'shared-processes-root',
    severity: 'error',
    why: "In a shared PID namespace a root process with its capabilities can take the resolver's UID and read its memory.",
    remedy:
      'Write capabilities: {drop: [ALL]} for the container, run it as another user, or take out shareProcessNamespace.',
    *check(subject) {
      if (subject.pod.spec.shareProcessNamespace !== true) return;
      for (const container of others(subject)) {
        if (container.uid !== 0 || container.dropsAll || !runsBesideResolver(subject.pod, container))
          continue;
        yield {
          path: container.path,
          message: `container ${container.name} is root with its capabilities while the resolver runs, in one PID namespace with it`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'privilege-escalation',
    severity: 'error',
    why: 'In a shared PID namespace whoever starts a setuid program such as su is root beside the resolver, which refuses to serve there.',
    remedy:
      'Write securityContext.allowPrivilegeEscalation: false for the container, or take out shareProcessNamespace.',
    *check(subject) {
      if (subject.pod.spec.shareProcessNamespace !== true) return;
      for (const container of others(subject)) {
        if (asMap(container.data.securityContext).allowPrivilegeEscalation === false) continue;
        // A supervisor may be what boundary.trusted names, which no manifest tells: the resolver checks it at its start.
        if (isSupervisor(subject, container) || !runsBesideResolver(subject.pod, container)) continue;
        yield {
          path: container.path,
          message: `container ${container.name} may gain privileges, in one PID namespace with the resolver`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'host-path',
    severity: 'error',
    why: "The folder of the node leads to the kubelet's copies of every Secret, or to the control of every container.",
    remedy: 'Take out the hostPath volume, or mount a folder that reaches neither.',
    *check({ pod }) {
      for (const volume of pod.volumes) {
        const written = asMap(volume.data.hostPath).path;
        if (typeof written !== 'string') continue;
        const folder = normalPath(written).replace(/^\/var\/run(?=\/|$)/, '/run');
        const reached = NODE_FOLDERS.find((node) => isWithin(node, folder) || isWithin(folder, node));
        if (reached === undefined && !written.split('/').includes('..')) continue;
        yield {
          path: [...volume.path, 'hostPath', 'path'],
          message: `volume ${volume.name} is the node's ${written}, which reaches ${reached ?? 'anywhere by ..'}`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'resolver-privileges',
    severity: 'error',
    why: 'The resolver holds the values: it runs with nothing that it does not need, and refuses to serve otherwise.',
    remedy:
      'Write runAsNonRoot: true, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}.',
    *check({ resolver, pod }) {
      const security = asMap(resolver.data.securityContext);
      const podSecurity = asMap(pod.spec.securityContext);
      const seccomp = asMap(security.seccompProfile ?? podSecurity.seccompProfile).type;
      const faults: [boolean, string][] = [
        [(security.runAsNonRoot ?? podSecurity.runAsNonRoot) !== true, 'runAsNonRoot is not true'],
        [security.allowPrivilegeEscalation !== false, 'allowPrivilegeEscalation is not false'],
        [security.readOnlyRootFilesystem !== true, 'readOnlyRootFilesystem is not true'],
        [!resolver.dropsAll, 'capabilities.drop is not [ALL]'],
        [seccomp !== 'RuntimeDefault' && seccomp !== 'Localhost', 'seccompProfile is not RuntimeDefault'],
      ];
      for (const [broken, message] of faults) {
        if (broken)
          yield { path: [...resolver.path, 'securityContext'], message: `the resolver's ${message}` };
      }
    },
  },
  {
    about: 'pod',
    id: 'resolver-order',
    severity: 'error',
    why: 'Init containers after the resolver run beside it, often as root; before it they have ended. The agent waits only for a native sidecar.',
    remedy:
      'Make secret-resolver an init container with restartPolicy: Always, behind every other one and before the probe alone: inject does.',
    *check({ resolver, pod }) {
      if (resolver.phase !== 'sidecar') {
        yield { path: resolver.path, message: 'the resolver is not a native sidecar' };
        return;
      }
      const after = pod.containers.slice(pod.containers.indexOf(resolver) + 1);
      for (const container of after) {
        if (container.phase === 'main' || container === pod.probe) continue;
        yield {
          path: container.path,
          message: `init container ${container.name} comes after the resolver`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'service-account-token',
    severity: 'warning',
    why: 'With a token that may read Secrets the agent asks the API server, and needs neither mount nor socket.',
    remedy: 'Write automountServiceAccountToken: false.',
    *check({ pod }): Iterable<Fault> {
      if (pod.spec.automountServiceAccountToken === false) return;
      yield { path: ['automountServiceAccountToken'], message: 'automountServiceAccountToken is not false' };
    },
  },
];
