import { RESERVED_FOLDERS, SHARED_FOLDERS } from '../../domain/kubernetes.ts';
import { valueAt } from '../../manifest/data.ts';
import { isWithin } from '../../manifest/pod.ts';
import { type Control, cel } from '../control.ts';
import { socketVolumes } from './shared/pod.ts';

export const reservedFolder: Control = {
  id: 'reserved-folder',
  group: 'mounts',
  severity: 'enforce',
  threat:
    "The folder is another program's, or cannot be hidden from a supervisor's children without hiding more.",
  promise: 'The volumes of the resolver are mounted at folders of their own.',
  rule: {
    remedy: 'Mount it at a folder of its own, such as /run/secret-resolver.',
    *find(subject) {
      const socket = socketVolumes(subject);
      for (const container of subject.pod.containers) {
        for (const mount of container.mounts) {
          if (container !== subject.resolver && !socket.has(mount.volume)) continue;
          const written = String(valueAt(subject.pod.spec, [...mount.path, 'mountPath']));
          if (written.replace(/(.)\/+$/, '$1') !== mount.mountPath)
            yield {
              path: [...mount.path, 'mountPath'],
              message: `container ${container.name} mounts volume ${mount.volume} at ${written}, which is another spelling of ${mount.mountPath}`,
            };
          const reserved = RESERVED_FOLDERS.some(
            (folder) => isWithin(mount.mountPath, folder) || isWithin(folder, mount.mountPath),
          );
          if (!reserved && !SHARED_FOLDERS.some((folder) => folder === mount.mountPath)) continue;
          yield {
            path: [...mount.path, 'mountPath'],
            message: `container ${container.name} mounts volume ${mount.volume} at ${mount.mountPath}`,
          };
        }
      }
    },
  },
  expression: {
    cel: cel`
      variables.containers.all(c, c.?volumeMounts.orValue([]).all(m,
        (c.name != "secret-resolver" && !(m.name in variables.socketVolumes))
        || !m.mountPath.matches(
          "//.|/\\.\\.?(/|$)|^[^/]|^/+$|^/(run|var|var/run|tmp|etc|opt)/*$|^/run/openshell(-sidecar)?(/|$)|^/etc/openshell(-tls)?(/|$)|^/opt/openshell(/|$)")))`,
    message: 'the resolver or its socket is mounted at a folder of another program',
  },
};
