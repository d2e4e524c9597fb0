import { posix } from 'node:path';
import type { Control } from '../control.ts';

export const mountNamespace: Control = {
  id: 'mount-namespace',
  group: 'mounts',
  severity: 'warn',
  threat:
    'The resolver looks for a Secret below the name of its namespace, so one that is mounted below another name is never found.',
  promise: "Each Secret is mounted below the name of the pod's own namespace.",
  rule: {
    remedy:
      "Mount it at <secretsRoot>/<namespace>/<name> with the pod's namespace, and write the same namespace in the provider file.",
    *find({ pod, resolver, template }) {
      const { namespace } = template.object;
      if (namespace === undefined) return;
      for (const { volume, mountPath, path } of resolver.mounts) {
        const secrets = pod.volumes.find(({ name }) => name === volume)?.secrets ?? [];
        const folder = posix.basename(posix.dirname(mountPath));
        if (folder === namespace || !secrets.some(({ name }) => name === posix.basename(mountPath))) continue;
        yield {
          path: [...path, 'mountPath'],
          message: `the Secret ${posix.basename(mountPath)} is mounted below ${folder}, and the pod is of the namespace ${namespace}`,
        };
      }
    },
  },
};
