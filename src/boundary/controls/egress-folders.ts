import { asMap } from '../../manifest/data.ts';
import { type Control, cel } from '../control.ts';
import { egressVolumes, kitAndEnvoy, kitVolumes } from './shared/egress.ts';
import { describeContainer, mountsOf, others, volumeKinds } from './shared/pod.ts';

export const egressFolders: Control = {
  id: 'egress-folders',
  group: 'mounts',
  severity: 'enforce',
  threat:
    "A process that reads Envoy's folder reaches the egress process, one that writes the CA's folder replaces the CA, and a disk keeps what was in either.",
  promise:
    "Envoy's folder is in memory and mounted by Envoy and the egress process alone; others read the CA's folder and do not write it.",
  rule: {
    remedy:
      'Inject again with --supervisor envoy. Of its own, Envoy may mount a ConfigMap, readOnly: true, for trusted CAs.',
    *find(subject) {
      const trusted = kitAndEnvoy(subject);
      const [kit, envoy] = trusted;
      if (kit === undefined) return;
      const shared = egressVolumes(subject);
      const volumes = kitVolumes(subject);
      for (const { name, data, path } of volumes)
        if (asMap(data.emptyDir).medium !== 'Memory')
          yield { path, message: `volume ${name} of the egress process is not an emptyDir in memory` };
      const isConfigMap = (wanted: string) =>
        subject.pod.volumes.some((each) => each.name === wanted && volumeKinds(each).includes('configMap'));
      for (const { volume, readOnly, path } of envoy?.mounts ?? []) {
        if (readOnly && (shared.has(volume) || isConfigMap(volume))) continue;
        yield { path, message: `envoy mounts volume ${volume}${readOnly ? '' : ' writable'}` };
      }
      for (const { container, volume, readOnly, path } of mountsOf(others(subject))) {
        const writes = !readOnly && volumes.some(({ name }) => name === volume);
        if (trusted.includes(container) || (!shared.has(volume) && !writes)) continue;
        const what = `volume ${volume} of the egress process${writes ? ' writable' : ''}`;
        yield { path, message: `${describeContainer(subject, container)} mounts ${what}` };
      }
    },
  },
  expression: {
    cel: cel`
      variables.kitVolumes.all(v, v.?emptyDir.?medium.orValue("") == "Memory")
      && variables.envoy.all(c, c.?volumeMounts.orValue([]).all(m, m.?readOnly.orValue(false)
        && (m.name in variables.egressVolumes
          || variables.volumes.exists(v, v.name == m.name && has(v.configMap)))))
      && (variables.kit.size() == 0 || variables.others.all(c,
        c.name in (variables.kit + variables.envoy).map(k, k.name) || c.?volumeMounts.orValue([]).all(m,
          !(m.name in variables.egressVolumes)
          && (m.?readOnly.orValue(false) || !variables.kitVolumes.exists(v, v.name == m.name)))))`,
    message: 'a volume of the egress process is not in memory, or mounted by a container that may not',
  },
};
