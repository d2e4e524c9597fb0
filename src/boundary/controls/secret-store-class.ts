import { SECRETS_STORE_DRIVER } from '../../domain/kubernetes.ts';
import { asList, asMap, asText } from '../../manifest/data.ts';
import type { ManifestObject } from '../../manifest/kinds.ts';
import { mountedVolumes } from '../../manifest/pod.ts';
import { type Control, cel } from '../control.ts';
import { describeContainer, isSupervisor, others } from './shared/pod.ts';

export const secretStoreClass: Control = {
  id: 'secret-store-class',
  group: 'mounts',
  severity: 'enforce',
  threat:
    'A SecretProviderClass that writes a Secret of the resolver puts the same values into the volume of its pod.',
  promise: 'No container mounts a store whose values the resolver serves.',
  rule: {
    remedy:
      'Take out the CSI volume, or give lint the SecretProviderClass, with secretObjects that write no Secret of the resolver.',
    *find(subject, all) {
      for (const container of others(subject)) {
        for (const volume of mountedVolumes(subject.pod, container)) {
          const csi = asMap(volume.data.csi);
          if (csi.driver !== SECRETS_STORE_DRIVER) continue;
          const name = asMap(csi.volumeAttributes).secretProviderClass;
          const found = all.find((object) => object.kind === 'SecretProviderClass' && object.name === name);
          const written = found && writes(found).find((secret) => subject.secrets.has(secret));
          if (written === undefined && (found !== undefined || isSupervisor(subject, container))) continue;
          yield {
            path: [...volume.path, 'csi'],
            message: `${describeContainer(subject, container)} mounts the SecretProviderClass ${name}, ${written === undefined ? 'which is not among the manifests' : `which writes the Secret ${written}`}`,
          };
        }
      }
    },
  },
  expression: {
    cel: cel`
      variables.others.all(c, (c.name in variables.supervisors && c.name != variables.agent)
        || c.?volumeMounts.orValue([]).all(m, !variables.volumes.exists(v,
          v.name == m.name && has(v.csi) && v.csi.driver == "${SECRETS_STORE_DRIVER}")))`,
    message: 'a container mounts a SecretProviderClass, which may hold what the resolver serves',
  },
};

/** Names of the Secrets that a class writes. */
function writes(object: ManifestObject): string[] {
  return asList(asMap(object.data.spec).secretObjects).flatMap(
    (entry) => asText(asMap(entry).secretName) ?? [],
  );
}
