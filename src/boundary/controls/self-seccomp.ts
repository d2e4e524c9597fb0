import type { Control } from '../control.ts';
import { fail, pass } from '../finding.ts';

const MODES = ['0 (none)', '1 (strict)', '2 (filter)'];

export const selfSeccomp: Control = {
  id: 'self-seccomp',
  group: 'self',
  severity: 'enforce',
  threat: 'Without a filter a compromised resolver can make every system call of the kernel.',
  promise: 'The resolver runs under a seccomp filter.',
  check: {
    run: ({ self }) =>
      self.status.seccomp === 2
        ? pass('Seccomp 2 (filter)')
        : fail(
            `Seccomp ${MODES[self.status.seccomp] ?? self.status.seccomp}`,
            'securityContext.seccompProfile: {type: RuntimeDefault}',
          ),
  },
};
