import { HOST_PATHS, NODE_PATHS } from '../../domain/kubernetes.ts';
import { asMap } from '../../manifest/data.ts';
import { isWithin, normalPath } from '../../manifest/pod.ts';
import { type Control, cel } from '../control.ts';

/** Regular expressions for what normalPath takes out, and for a name that leads nowhere else. */
const SLASH = String.raw`/+(\\./+)*`;
const NAME = String.raw`([^/.]|\\.[^/.]|\\.\\.[^/])[^/]*`;
const ALLOWED = HOST_PATHS.map((path) => path.slice(1).replaceAll('/', SLASH)).join('|');

export const hostPath: Control = {
  id: 'host-path',
  group: 'mounts',
  severity: 'enforce',
  threat:
    "A folder of the node may lead to the kubelet's copies of every Secret, or to the control of every container.",
  promise: 'The pod mounts no folder of the node but a few that hold no secret, and these read-only.',
  rule: {
    remedy: `Take out the hostPath volume; allowed, with readOnly: true, are ${HOST_PATHS.join(', ')}.`,
    *find({ pod }) {
      for (const volume of pod.volumes) {
        if (volume.data.hostPath == null) continue;
        const written = String(asMap(volume.data.hostPath).path);
        const folder = normalPath(written).replace(/^\/var\/run(?=\/|$)/, '/run');
        const node = [...NODE_PATHS].find(([path]) => isWithin(path, folder) || isWithin(folder, path));
        const back = written.split('/').includes('..');
        if (back || !HOST_PATHS.some((path) => isWithin(folder, path))) {
          yield {
            path: [...volume.path, 'hostPath', 'path'],
            message: `volume ${volume.name} is the node's ${written}${back ? ', which leads anywhere by ..' : node === undefined ? ', which is not on the list' : `, which reaches ${node.join(': ')}`}`,
          };
          continue;
        }
        for (const { name, mounts } of pod.containers) {
          const writable = mounts.find((mount) => mount.volume === volume.name && !mount.readOnly);
          if (writable === undefined) continue;
          yield { path: writable.path, message: `container ${name} mounts the node's ${written} writable` };
        }
      }
    },
  },
  expression: {
    cel: cel`
      variables.volumes.all(v, !has(v.hostPath)
        || (v.hostPath.path.matches(
            "^${SLASH}(${ALLOWED})(${SLASH}${NAME})*(/+\\.?)*$")
          && variables.containers.all(c, c.?volumeMounts.orValue([]).all(m,
            m.name != v.name || m.?readOnly.orValue(false)))))`,
    message: `a hostPath is not on the list of ${HOST_PATHS.join(', ')}, or is mounted writable`,
  },
};
