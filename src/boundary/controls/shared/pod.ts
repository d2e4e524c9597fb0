/** What several rules about pods ask. */
import type { Container, VolumeSecret } from '../../../manifest/pod.ts';
import { mountedVolumes } from '../../../manifest/pod.ts';
import type { PodSubject } from '../../../manifest/rule.ts';

/** Containers other than the resolver. */
export function others({ pod, resolver }: PodSubject): Container[] {
  return pod.containers.filter((container) => container !== resolver);
}

/** A supervisor that shares its container with the agent counts as the agent. */
export function isSupervisor({ roles, combined }: PodSubject, container: Container): boolean {
  return !combined && roles.supervisors.includes(container.name);
}

export function describeContainer({ agent }: PodSubject, { name }: Container): string {
  return name === agent?.name ? `the agent ${name}` : `container ${name}`;
}

/** Secrets that the resolver mounts, with their sources. */
export function resolverSources({ pod, resolver }: PodSubject): VolumeSecret[] {
  return mountedVolumes(pod, resolver).flatMap(({ secrets }) => secrets);
}

/** The path of a field of a container's securityContext. */
export function securityPath({ path }: Container, ...field: string[]): (string | number)[] {
  return [...path, 'securityContext', ...field];
}
