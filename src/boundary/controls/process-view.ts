import { type Control, listed, pass, unknown } from '../control.ts';

const REMEDY = 'securityContext.procMount: Default';

export const processView: Control = {
  id: 'process-view',
  group: 'processes',
  severity: 'enforce',
  threat: 'A /proc that hides processes, or is that of another namespace, proves nothing about neighbours.',
  promise: '/proc is our own and hides no process.',
  check: ({ self, processes }) => {
    if (self.procSelf !== String(self.pid))
      return unknown(`/proc/self leads to ${self.procSelf}, and our pid is ${self.pid}`, REMEDY);
    if (processes.unreadable.length > 0) {
      const pids = listed(processes.unreadable.map((pid) => `pid ${pid}`));
      return unknown(`the kernel shows nothing of a living process: ${pids}`, REMEDY);
    }
    return processes.hiding.length > 0
      ? unknown(`/proc is mounted with ${processes.hiding.join(',')}: other processes are hidden`, REMEDY)
      : pass(`/proc shows ${processes.others.length + 1} processes, with nothing hidden`);
  },
};
