/** What several rules about pods ask. */

import { asList, asMap, asText, valueAt } from '../../../manifest/data.ts';
import { SOCKET_VOLUME } from '../../../manifest/names.ts';
import {
  type Container,
  mountedVolumes,
  runsBesideResolver,
  type Volume,
  type VolumeSecret,
} from '../../../manifest/pod.ts';
import type { PodSubject } from '../../../manifest/rule.ts';

/** Containers other than the resolver. */
export function others({ pod, resolver }: PodSubject): Container[] {
  return pod.containers.filter((container) => container !== resolver);
}

/** Containers that run at some time while the resolver runs. */
export function beside(subject: PodSubject): Container[] {
  return others(subject).filter((container) => runsBesideResolver(subject.pod, container));
}

/** Mounts of containers, each with its container. */
export function mountsOf(containers: readonly Container[]) {
  return containers.flatMap((container) => container.mounts.map((mount) => ({ ...mount, container })));
}

/** The agent is none, even if somebody named it one: `combined-topology` refuses that. */
export function isSupervisor({ roles }: PodSubject, { name }: Container): boolean {
  return roles.supervisors.includes(name) && name !== roles.agent;
}

export function describeContainer({ agent }: PodSubject, { name }: Container): string {
  return name === agent?.name ? `the agent ${name}` : `container ${name}`;
}

/** Secrets that the resolver mounts, with their sources. */
export function resolverSources({ pod, resolver }: PodSubject): VolumeSecret[] {
  return mountedVolumes(pod, resolver).flatMap(({ secrets }) => secrets);
}

/** The kinds of source that a volume has: one, unless the manifest is wrong. Without any the API server makes it an emptyDir. */
export function volumeKinds({ data }: Volume): string[] {
  const kinds = Object.keys(data).filter((key) => key !== 'name' && data[key] !== null);
  return kinds.length === 0 ? ['emptyDir'] : kinds;
}

/** Names of the volumes that may have the socket in them: by use, whatever they are called. */
export function socketVolumes({ pod, resolver }: PodSubject): Set<string> {
  const folders = mountedVolumes(pod, resolver).filter((volume) => volumeKinds(volume).includes('emptyDir'));
  return new Set([SOCKET_VOLUME, ...folders.map(({ name }) => name)]);
}

/** Whether a volume holds what the API server takes for the service account: a token, or a certificate of the pod. */
export function isToken({ data }: Volume): boolean {
  return asList(asMap(data.projected).sources).some((source) => {
    const { serviceAccountToken, podCertificate } = asMap(source);
    return serviceAccountToken != null || podCertificate != null;
  });
}

/** Secrets that a container takes by `env` and `envFrom`, each with its place. */
export function environmentSecrets({ data, path }: Container) {
  const take = (list: 'env' | 'envFrom', field: string[]) =>
    asList(data[list]).flatMap((value, index) => {
      const name = asText(asMap(valueAt(value, field)).name);
      return name === undefined ? [] : [{ name, by: list, path: [...path, list, index, ...field] }];
    });
  return [...take('env', ['valueFrom', 'secretKeyRef']), ...take('envFrom', ['secretRef'])];
}

/** The path of a field of a container's securityContext. */
export function securityPath({ path }: Container, ...field: string[]): (string | number)[] {
  return [...path, 'securityContext', ...field];
}
