/** What several rules ask about a stock Envoy as the supervisor. */
import { EGRESS, EGRESS_VOLUME, ENVOY } from '../../../manifest/names.ts';
import type { Container, Volume } from '../../../manifest/pod.ts';
import type { PodSubject } from '../../../manifest/rule.ts';
import { isSupervisor } from './pod.ts';

/** The kit, which has the socket, and its Envoy, which has not; empty where something else is the supervisor. */
export function kitAndEnvoy(subject: PodSubject): Container[] {
  const find = (wanted: string) => subject.pod.containers.find(({ name }) => name === wanted);
  const [kit, envoy] = [find(EGRESS), find(ENVOY)];
  if (kit === undefined || !isSupervisor(subject, kit)) return [];
  return envoy === undefined ? [kit] : [kit, envoy];
}

/** Volumes that the kit has and the resolver has not: Envoy's configuration, and the CA. */
export function kitVolumes(subject: PodSubject): Volume[] {
  const [kit] = kitAndEnvoy(subject);
  const mounts = ({ mounts }: Container, volume: Volume) =>
    mounts.some((each) => each.volume === volume.name);
  return subject.pod.volumes.filter(
    (volume) => kit !== undefined && mounts(kit, volume) && !mounts(subject.resolver, volume),
  );
}

/** Names of those that Envoy has, too: by use, whatever they are called. */
export function egressVolumes(subject: PodSubject): Set<string> {
  const [, envoy] = kitAndEnvoy(subject);
  const shared = kitVolumes(subject).filter(({ name }) =>
    envoy?.mounts.some(({ volume }) => volume === name),
  );
  return new Set([EGRESS_VOLUME, ...shared.map(({ name }) => name)]);
}
