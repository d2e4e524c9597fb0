import { NODE_FOLDERS } from '../../domain/kubernetes.ts';
import { asMap } from '../../manifest/data.ts';
import { isWithin, normalPath } from '../../manifest/pod.ts';
import type { Control } from '../control.ts';
import { cel } from '../expression.ts';

export const hostPath: Control = {
  id: 'host-path',
  group: 'mounts',
  severity: 'enforce',
  threat:
    "The folder of the node leads to the kubelet's copies of every Secret, or to the control of every container.",
  promise: 'No volume of the pod reaches the folders of the node that lead to Secrets.',
  rule: {
    about: 'pod',
    remedy: 'Take out the hostPath volume, or mount a folder that reaches neither.',
    *find({ pod }) {
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
  expression: {
    cel: cel`
      variables.volumes.all(v, !has(v.hostPath)
        || !v.hostPath.path.matches(
          "(^|/)\\.\\.(/|$)|^/*$|^/+(var|var/+lib|run|var/+run|sys|sys/+fs)/*$|^/+(var/+lib/+kubelet|(var/+)?run/+(containerd|crio|docker\\.sock)|proc|dev|sys/+fs/+cgroup)(/|$)"))`,
    message: "a hostPath reaches the kubelet's folder, the runtime's socket or /proc of the node",
  },
};
