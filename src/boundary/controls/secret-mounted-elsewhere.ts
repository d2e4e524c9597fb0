import { mountedVolumes } from '../../manifest/pod.ts';
import { ABSENT, REFUSED } from '../attacks/types.ts';
import { type Control, fail, listed, pass, unknown } from '../control.ts';
import { fileAttack } from './shared/attacks.ts';
import { describeContainer, others } from './shared/pod.ts';
import { foreign, mountedElsewhere, nothingMounted } from './shared/processes.ts';
import { replacedBehindShare } from './shared/runtime.ts';
import { MOUNT_IT } from './shared/volumes.ts';

export const secretMountedElsewhere: Control = {
  id: 'secret-mounted-elsewhere',
  group: 'mounts',
  severity: 'enforce',
  threat:
    'The mount is the boundary: file modes and groups do not keep another container of the pod from reading it.',
  promise: "Only the resolver's container mounts the Secrets.",
  checkId: 'process-secret-mounts',
  failsDuringExec: true,
  check: (facts) => {
    const faults = mountedElsewhere(facts, 'secretMounts');
    if (faults.length > 0) {
      return fail(
        `our Secret volume is mounted elsewhere: ${listed(faults)}`,
        "volumeMounts: take the Secret (or the hostPath of kubelet's folder) out of that container",
      );
    }
    // Volumes are known by their device: another kind than tmpfs may have that of the node's disk.
    const unlike = facts.mounts.secrets.filter(({ mount }) => mount?.type !== 'tmpfs');
    if (unlike.length > 0 && foreign(facts).length > 0) {
      const verdict = unknown(
        `mounts of other containers cannot be compared: ${listed(unlike.map(({ path }) => path))} is not a tmpfs`,
        MOUNT_IT,
      );
      const covered = 'lint and the admission policy refuse another container that mounts the Secret';
      return replacedBehindShare(facts, verdict, { gvisor: covered, kata: covered });
    }
    const verdict = pass('no process of another container has one of our Secret volumes mounted');
    return nothingMounted(facts, verdict);
  },
  rule: {
    remedy: "Take out the volumeMount: the resolver's container alone mounts the Secret.",
    *find(subject) {
      for (const container of others(subject)) {
        for (const volume of mountedVolumes(subject.pod, container)) {
          const secret = volume.secrets.find(({ name }) => subject.secrets.has(name));
          if (secret === undefined) continue;
          const mount = container.mounts.find(({ volume: name }) => name === volume.name);
          yield {
            path: mount?.path ?? container.path,
            message: `${describeContainer(subject, container)} mounts the Secret ${secret.name} by volume ${volume.name}`,
          };
        }
      }
    },
  },
  expression: {
    cel: 'variables.others.all(c, c.?volumeMounts.orValue([]).all(m, !(m.name in variables.secretVolumes)))',
    message: 'a container other than the resolver mounts a Secret that the resolver reads',
  },
  attacks: [
    fileAttack(
      'secret-paths',
      'read each Secret at its path, here and through the root of each process that mounts it',
      [...ABSENT, ...REFUSED, 'nothing is mounted there'],
    ),
    fileAttack('secret-volumes', 'read every tmpfs of ours that is laid out as kubelet does', [
      'no ..data in any tmpfs',
    ]),
  ],
};
