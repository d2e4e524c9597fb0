import { type Control, cel, listed } from '../control.ts';
import { eachVolume } from './shared/volumes.ts';

export const subPath: Control = {
  id: 'sub-path',
  group: 'mounts',
  severity: 'enforce',
  threat: 'A subPath mount is made once: no rotation and no revocation ever reaches it.',
  promise: 'Each Secret is mounted as a whole.',
  checkId: 'mount-sub-path',
  check: (facts) =>
    eachVolume(
      facts,
      'mounted whole',
      'volumeMounts[]: remove subPath and subPathExpr; such a mount never sees a rotation',
      ({ mount, mountsInside }) => {
        if (mountsInside.length > 0) return `has mounts inside it: ${listed(mountsInside)}`;
        return mount !== undefined && mount.root !== '/'
          ? `is the part ${mount.root} of a volume`
          : undefined;
      },
      'mount',
    ),
  rule: {
    remedy: 'Mount the volume as a whole, without subPath and subPathExpr.',
    *find({ pod, resolver }) {
      for (const mount of resolver.mounts) {
        const volume = pod.volumes.find(({ name }) => name === mount.volume);
        if (!mount.subPath || volume === undefined || volume.secrets.length === 0) continue;
        yield { path: mount.path, message: `the resolver mounts volume ${mount.volume} by subPath` };
      }
    },
  },
  expression: {
    cel: cel`
      variables.resolver.all(r, r.?volumeMounts.orValue([]).all(m,
        !(m.name in variables.secretVolumes)
        || (m.?subPath.orValue("") == "" && m.?subPathExpr.orValue("") == "")))`,
    message: 'the resolver mounts a Secret by subPath, which no rotation reaches',
  },
};
