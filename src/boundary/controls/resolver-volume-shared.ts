import { type Control, cel } from '../control.ts';
import { kitAndEnvoy } from './shared/egress.ts';
import { describeContainer, isToken, mountsOf, others, socketVolumes } from './shared/pod.ts';

export const resolverVolumeShared: Control = {
  id: 'resolver-volume-shared',
  group: 'mounts',
  severity: 'enforce',
  threat: 'A container that mounts a volume of the resolver reads, or changes, what the resolver works with.',
  promise:
    'No other container mounts a volume of the resolver, except the socket; the egress process reads the configuration.',
  rule: {
    remedy: 'Take out the volumeMount, or give the container a volume of its own.',
    *find(subject) {
      const { pod, resolver, secrets } = subject;
      const socket = socketVolumes(subject);
      const [kit] = kitAndEnvoy(subject);
      // Secrets and tokens have rules of their own.
      const own = new Set(resolver.mounts.map(({ volume }) => volume));
      for (const volume of pod.volumes)
        if (isToken(volume) || volume.secrets.some(({ name }) => secrets.has(name))) own.delete(volume.name);
      for (const { container, volume, readOnly, path } of mountsOf(others(subject))) {
        if (!own.has(volume) || socket.has(volume) || (readOnly && container === kit)) continue;
        const who = describeContainer(subject, container);
        yield { path, message: `${who} mounts volume ${volume}, which is the resolver's` };
      }
    },
  },
  expression: {
    cel: cel`
      variables.others.all(c, c.?volumeMounts.orValue([]).all(m,
        m.name in variables.secretVolumes + variables.socketVolumes + variables.tokenVolumes
        || (m.?readOnly.orValue(false) && variables.kit.exists(k, k.name == c.name))
        || !variables.resolver.exists(r, r.?volumeMounts.orValue([]).exists(n, n.name == m.name))))`,
    message: 'a container mounts a volume of the resolver that is not the socket',
  },
};
