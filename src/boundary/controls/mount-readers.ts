import { type Control, fail, listed, modeText, pass, unknown } from '../control.ts';
import { agentOf } from '../facts/access-rules.ts';
import { MOUNT_IT } from './shared/volumes.ts';

export const mountReaders: Control = {
  id: 'mount-readers',
  group: 'mounts',
  severity: 'info',
  threat: 'Where the modes admit the agent, only the mount keeps it out.',
  promise: 'The modes of the files admit the resolver and not the agent.',
  check: (facts, config) => {
    const classes = new Set<string>();
    let open = false;
    for (const file of facts.mounts.secrets.flatMap((volume) => volume.files)) {
      const admitted = [`UID ${file.uid}`];
      if ((file.mode & 0o040) !== 0) admitted.push(`group ${file.gid}`);
      if ((file.mode & 0o004) !== 0) admitted.push('every other UID');
      const agentIn =
        (file.mode & 0o004) !== 0 ||
        file.uid === config.agent.uid ||
        ((file.mode & 0o040) !== 0 && agentOf(facts, config).gids.includes(file.gid));
      open ||= agentIn;
      classes.add(`${modeText(file.mode)} admits ${admitted.join(', ')}${agentIn ? ', so the agent' : ''}`);
    }
    if (classes.size === 0) return unknown('nothing to check: no volume has a file', MOUNT_IT);
    const evidence = listed([...classes].sort());
    return open
      ? fail(
          `${evidence}: the mount, in our container alone, is what keeps it out`,
          'secret.defaultMode: 0440 with a group that the agent is not in, where your kubelet offers one',
        )
      : pass(evidence);
  },
};
