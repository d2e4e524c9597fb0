import { type Control, fail, pass } from '../control.ts';

/** Inode of the machine's first PID namespace, fixed in the kernel. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';

export const hostPid: Control = {
  id: 'host-pid',
  group: 'processes',
  severity: 'enforce',
  threat: 'With hostPID the processes of the pod see, and as root may read, every process of the node.',
  promise: "The pod is not in the node's PID namespace.",
  checkId: 'process-host-pid',
  check: ({ self, processes }) => {
    const threads = processes.others.filter((process) => process.kernelThread).length;
    return threads > 0 || self.pidNamespace === FIRST_PID_NAMESPACE
      ? fail(
          `${self.pidNamespace}, ${threads} kernel threads in sight: this is the node's`,
          'spec.hostPID: false',
        )
      : pass(self.pidNamespace);
  },
  rule: {
    remedy: 'Take out hostPID.',
    *find({ pod }) {
      if (pod.spec.hostPID === true) yield { path: ['hostPID'], message: 'hostPID is true' };
    },
  },
  expression: {
    cel: '!object.spec.?hostPID.orValue(false)',
    message: 'hostPID shows every process of the node',
  },
};
