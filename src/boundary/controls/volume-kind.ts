import { VOLUME_KINDS } from '../../domain/kubernetes.ts';
import type { Control } from '../control.ts';
import { volumeKinds } from './shared/pod.ts';

export const volumeKind: Control = {
  id: 'volume-kind',
  group: 'mounts',
  severity: 'enforce',
  threat: 'A volume of a kind that is not known here may lead anywhere on the node.',
  promise: 'Every volume of the pod is of a kind that Pod Security allows.',
  rule: {
    remedy: `Use one of ${VOLUME_KINDS.join(', ')}.`,
    *find({ pod }) {
      for (const volume of pod.volumes) {
        const kind = volumeKinds(volume).find((each) => !VOLUME_KINDS.some((known) => known === each));
        if (kind === undefined) continue;
        yield { path: [...volume.path, kind], message: `volume ${volume.name} is of the kind ${kind}` };
      }
    },
  },
  expression: {
    cel: `variables.volumes.all(v, ${VOLUME_KINDS.map((kind) => `has(v.${kind})`).join(' || ')})`,
    message: 'a volume is of a kind that Pod Security does not allow',
  },
};
