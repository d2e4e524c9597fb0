import { mountedVolumes } from '../../manifest/pod.ts';
import type { Control } from '../control.ts';
import { volumeKinds } from './shared/pod.ts';
import { replacedBehindShare } from './shared/runtime.ts';
import { eachVolume } from './shared/volumes.ts';

/** What kubelet keeps in memory, or writes for the resolver and its socket. */
const KINDS = ['secret', 'projected', 'configMap', 'downwardAPI', 'emptyDir'];

export const mountTmpfs: Control = {
  id: 'mount-tmpfs',
  group: 'mounts',
  severity: 'enforce',
  threat: 'A value on a disk outlives the pod, and other pods of the node may reach the disk.',
  promise: 'Secrets are kept in memory.',
  check: (facts) => {
    const verdict = eachVolume(
      facts,
      'tmpfs',
      'volumes: [{name: <secret>, secret: {secretName: <name>}}], not hostPath, PVC or a disk emptyDir',
      ({ mount }) =>
        mount === undefined || mount.type === 'tmpfs' ? undefined : `is ${mount.type}, not tmpfs`,
      'mount',
    );
    return replacedBehindShare(facts, verdict, {
      gvisor: 'the mount shows the gofer, and not what is behind it: kubelet keeps Secret volumes in memory',
      kata: 'the mount shows the share, and not what is behind it: kubelet keeps Secret volumes in memory',
    });
  },
  rule: {
    remedy: `The resolver mounts ${KINDS.join(', ')} volumes only.`,
    *find({ pod, resolver }) {
      for (const volume of mountedVolumes(pod, resolver)) {
        const kind = volumeKinds(volume).find((each) => !KINDS.includes(each));
        if (kind === undefined) continue;
        yield {
          path: [...volume.path, kind],
          message: `the resolver mounts volume ${volume.name}, a ${kind}`,
        };
      }
    },
  },
  expression: {
    cel: `variables.resolverVolumes.all(v, ${KINDS.map((kind) => `has(v.${kind})`).join(' || ')})`,
    message: 'the resolver mounts a volume that may be on a disk',
  },
};
