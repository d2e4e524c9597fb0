import { DEFAULT_UID } from '../../domain/kubernetes.ts';
import { type Control, fail, pass } from '../control.ts';

const REMEDY = `securityContext.runAsGroup: ${DEFAULT_UID}`;

export const selfGroups: Control = {
  id: 'self-groups',
  group: 'self',
  severity: 'warn',
  threat: 'Files of a group that the agent is in can be read or written by the agent.',
  promise: "The resolver's primary group is neither root's nor the agent's.",
  check: ({ self }, config) => {
    const primary = self.status.gids[0] ?? -1;
    const supplementary = self.status.groups.filter((gid) => gid !== primary);
    const explained = supplementary.map((gid) =>
      gid === config.agent.gid
        ? `${gid} (the agent's group: allowed, fsGroup puts every container of a pod in it)`
        : gid === 0
          ? '0 (root)'
          : `${gid} (supplementary)`,
    );
    const evidence = `primary GID ${primary}${explained.length === 0 ? ', no other' : `; ${explained.join(', ')}`}`;
    if (primary === config.agent.gid)
      return fail(`${evidence}: files of ours would belong to the agent's group`, REMEDY);
    return primary === 0 || supplementary.includes(0)
      ? fail(`${evidence}: group 0 owns more than we need`, REMEDY)
      : pass(evidence);
  },
};
