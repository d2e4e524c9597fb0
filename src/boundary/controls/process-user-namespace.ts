import { type Control, fail, pass } from '../control.ts';

export const processUserNamespace: Control = {
  id: 'process-user-namespace',
  group: 'processes',
  severity: 'info',
  threat: 'A process that leaves its container has its UID on the node, too.',
  promise: 'UIDs of the pod stand for others on the node.',
  check: ({ self }) => {
    const map = self.uidMap
      .map(({ inside, outside, count }) => `${inside} → ${outside} (${count})`)
      .join(', ');
    // Ids that stand for themselves: the node's own, or a namespace that keeps nothing apart.
    return self.uidMap.some(({ inside, outside }) => inside === outside)
      ? fail(`${map}: UIDs here are UIDs of the node`, 'spec.hostUsers: false')
      : pass(`${map}: UIDs here stand for others on the node`);
  },
};
