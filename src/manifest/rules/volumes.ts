/** Rules about mounts: the mount is the boundary, and the way in which rotations arrive. */
import { asList, asMap, asText, canonicalJson, type Data } from '../data.ts';
import { RESERVED_FOLDERS, SHARED_FOLDERS, SOCKET_VOLUME } from '../names.ts';
import { type Container, isWithin, mountedVolumes, type VolumeSecret } from '../pod.ts';
import type { PodRule, PodSubject } from './rule.ts';

/** Secrets that the resolver mounts, with their sources. */
function resolverSources({ pod, resolver }: PodSubject): VolumeSecret[] {
  return mountedVolumes(pod, resolver).flatMap(({ secrets }) => secrets);
}

function describeContainer({ agent }: PodSubject, container: Container): string {
  return container === agent ? `the agent ${container.name}` : `container ${container.name}`;
}

export const VOLUME_RULES: readonly PodRule[] = [
  {
    about: 'pod',
    id: 'secret-mounted-elsewhere',
    severity: 'error',
    why: 'The mount is the boundary: file modes and groups do not keep another container of the pod from reading it.',
    remedy: "Take out the volumeMount: the resolver's container alone mounts the Secret.",
    *check(subject) {
      for (const container of subject.pod.containers) {
        if (container === subject.resolver) continue;
        for (const volume of mountedVolumes(subject.pod, container)) {
          const secret = volume.secrets.find(({ name }) => subject.secrets.has(name));
          if (secret === undefined) continue;
          const mount = container.mounts.find(({ volume: name }) => name === volume.name);
          yield {
            path: mount?.path ?? container.path,
            message: `${describeContainer(subject, container)} mounts the Secret ${secret.name} by volume ${volume.name}`,
          };
        }
      }
    },
  },
  {
    about: 'pod',
    id: 'secret-in-environment',
    severity: 'error',
    why: 'A value in the environment never rotates, and is in /proc, in crash reports and in every child process.',
    remedy:
      'Take out the secretKeyRef or secretRef: the supervisor asks the resolver, the agent holds a placeholder.',
    *check(subject) {
      for (const container of subject.pod.containers) {
        const takes = `${describeContainer(subject, container)} takes the Secret`;
        for (const [index, value] of asList(container.data.env).entries()) {
          const name = asText(asMap(asMap(asMap(value).valueFrom).secretKeyRef).name);
          if (name === undefined || !subject.secrets.has(name)) continue;
          yield {
            path: [...container.path, 'env', index, 'valueFrom', 'secretKeyRef'],
            message: `${takes} ${name} by env`,
          };
        }
        for (const [index, value] of asList(container.data.envFrom).entries()) {
          const name = asText(asMap(asMap(value).secretRef).name);
          if (name === undefined || !subject.secrets.has(name)) continue;
          yield {
            path: [...container.path, 'envFrom', index, 'secretRef'],
            message: `${takes} ${name} by envFrom`,
          };
        }
      }
    },
  },
  {
    about: 'pod',
    id: 'sub-path',
    severity: 'error',
    why: 'A subPath mount is made once: no rotation and no revocation ever reaches it.',
    remedy: 'Mount the volume as a whole, without subPath and subPathExpr.',
    *check({ pod, resolver }) {
      for (const mount of resolver.mounts) {
        const volume = pod.volumes.find(({ name }) => name === mount.volume);
        if (!mount.subPath || volume === undefined || volume.secrets.length === 0) continue;
        yield { path: mount.path, message: `the resolver mounts volume ${mount.volume} by subPath` };
      }
    },
  },
  {
    about: 'pod',
    id: 'optional-secret',
    severity: 'warning',
    why: 'The pod starts without an optional Secret, so a mistyped name looks like a credential that nobody has.',
    remedy: 'Write optional: false, or take the field out.',
    *check(subject) {
      for (const secret of resolverSources(subject)) {
        if (secret.source.optional !== true) continue;
        yield { path: [...secret.path, 'optional'], message: `the Secret ${secret.name} is optional` };
      }
    },
  },
  {
    about: 'pod',
    id: 'secret-items',
    severity: 'warning',
    why: 'Where a listed key goes away the kubelet fails the update and keeps the old files: the key is never revoked.',
    remedy: 'Take out items and mount the Secret as a whole; the provider file chooses the keys.',
    *check(subject) {
      for (const secret of resolverSources(subject)) {
        if (asList(secret.source.items).length === 0 || secret.source.optional === true) continue;
        yield { path: [...secret.path, 'items'], message: `the Secret ${secret.name} is mounted by items` };
      }
    },
  },
  {
    about: 'pod',
    id: 'secret-unreadable',
    severity: 'error',
    why: "Files are root's: without fsGroup only the bits for others reach the resolver's UID.",
    remedy: 'Write defaultMode 0444 without fsGroup, and 0440 with it.',
    *check(subject) {
      // With fsGroup kubelet adds 0440 whatever the mode says, and every container has the group.
      if (subject.pod.fsGroup !== undefined) return;
      for (const secret of resolverSources(subject)) {
        if (((secret.defaultMode ?? 0o644) & 0o004) !== 0) continue;
        yield {
          path: secret.path,
          message: `the resolver cannot read the Secret ${secret.name} with this defaultMode and no fsGroup`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'socket-writable',
    severity: 'error',
    why: 'Whoever may write the folder of the socket can unlink it and listen in its place.',
    remedy: "Write readOnly: true for the supervisor's mount: connecting works through it.",
    *check({ pod, resolver }) {
      for (const container of pod.containers) {
        if (container === resolver) continue;
        for (const mount of container.mounts) {
          if (mount.volume !== SOCKET_VOLUME || mount.readOnly) continue;
          yield {
            path: mount.path,
            message: `container ${container.name} mounts the socket's folder writable`,
          };
        }
      }
    },
  },
  {
    about: 'pod',
    id: 'socket-mounted-elsewhere',
    severity: 'error',
    why: 'A container that does not see the socket cannot flood it, nor wait for a mistake in the list of callers.',
    remedy: 'Take out the volumeMount, or name the container in the annotation secret-resolver/supervisors.',
    *check({ pod, resolver, roles, combined }) {
      for (const container of pod.containers) {
        if (container === resolver || roles.supervisors.includes(container.name)) continue;
        if (combined && container === pod.probe) continue;
        for (const mount of container.mounts) {
          if (mount.volume !== SOCKET_VOLUME) continue;
          yield {
            path: mount.path,
            message: `container ${container.name} mounts the socket's folder and is no supervisor`,
          };
        }
      }
    },
  },
  {
    about: 'pod',
    id: 'reserved-folder',
    severity: 'error',
    why: "The folder is another program's, or cannot be hidden from a supervisor's children without hiding more.",
    remedy: 'Mount it at a folder of its own, such as /run/secret-resolver.',
    *check({ pod, resolver }) {
      for (const container of pod.containers) {
        for (const mount of container.mounts) {
          if (container !== resolver && mount.volume !== SOCKET_VOLUME) continue;
          const reserved = RESERVED_FOLDERS.find(
            (folder) => isWithin(mount.mountPath, folder) || isWithin(folder, mount.mountPath),
          );
          const shared = SHARED_FOLDERS.find((folder) => folder === mount.mountPath);
          if (reserved === undefined && shared === undefined) continue;
          yield {
            path: [...mount.path, 'mountPath'],
            message: `container ${container.name} mounts volume ${mount.volume} at ${mount.mountPath}`,
          };
        }
      }
    },
  },
  {
    about: 'pod',
    id: 'probe-missing',
    severity: 'warning',
    why: 'Without the probe a pod whose boundary is broken starts its agent all the same.',
    remedy: 'Inject again: the probe is the last init container.',
    *check({ pod, agent, resolver }) {
      if (pod.probe === undefined && agent !== undefined) {
        yield {
          path: resolver.path,
          message: `nothing tries the boundary before the agent ${agent.name} starts`,
        };
      }
    },
  },
  {
    about: 'pod',
    id: 'probe-differs',
    severity: 'error',
    why: "The probe proves something about the agent only with the agent's own security context and mounts.",
    remedy: 'Inject again after the agent was changed.',
    *check({ pod, agent, combined }) {
      const { probe } = pod;
      if (probe === undefined || agent === undefined) return;
      const same = (field: string) =>
        canonicalJson(comparable(probe.data, field)) === canonicalJson(comparable(agent.data, field));
      if (!combined && !same('securityContext')) {
        yield {
          path: [...probe.path, 'securityContext'],
          message: `the probe's securityContext is not that of the agent ${agent.name}`,
        };
      }
      if (!same('volumeMounts')) {
        yield {
          path: [...probe.path, 'volumeMounts'],
          message: `the probe's volumeMounts are not those of the agent ${agent.name}`,
        };
      }
    },
  },
];

function comparable(container: Data, field: string): unknown {
  const value = container[field];
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0) ? null : value;
}
