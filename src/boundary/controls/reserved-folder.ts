import { RESERVED_FOLDERS, SHARED_FOLDERS } from '../../domain/kubernetes.ts';
import { valueAt } from '../../manifest/data.ts';
import { isWithin } from '../../manifest/pod.ts';
import { type Control, cel } from '../control.ts';
import { mountsOf, socketVolumes } from './shared/pod.ts';

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
      for (const { container, volume, mountPath, path: mount } of mountsOf(subject.pod.containers)) {
        if (container !== subject.resolver && !socket.has(volume)) continue;
        const path = [...mount, 'mountPath'];
        const what = `container ${container.name} mounts volume ${volume} at`;
        const written = String(valueAt(subject.pod.spec, path));
        if (written.replace(/(.)\/+$/, '$1') !== mountPath)
          yield { path, message: `${what} ${written}, which is another spelling of ${mountPath}` };
        const reserved =
          SHARED_FOLDERS.some((folder) => folder === mountPath) ||
          RESERVED_FOLDERS.some((folder) => isWithin(mountPath, folder) || isWithin(folder, mountPath));
        if (reserved) yield { path, message: `${what} ${mountPath}` };
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
