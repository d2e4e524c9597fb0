import { type Control, fail, pass } from '../control.ts';
import { replacedOn } from './shared/runtime.ts';

const MODES = ['0 (none)', '1 (strict)', '2 (filter)'];

export const selfSeccomp: Control = {
  id: 'self-seccomp',
  group: 'self',
  severity: 'enforce',
  threat: 'Without a filter a compromised resolver can make every system call of the kernel.',
  promise: 'The resolver runs under a seccomp filter.',
  check: (facts) => {
    const { seccomp } = facts.self.status;
    if (seccomp === 2) return pass('Seccomp 2 (filter)');
    const verdict = fail(
      `Seccomp ${MODES[seccomp] ?? seccomp}`,
      'securityContext.seccompProfile: {type: RuntimeDefault}',
    );
    return replacedOn(facts, verdict, {
      gvisor: 'system calls end in its own kernel, under a filter of its own on the node',
      kata: "system calls end in the kernel of the pod's own virtual machine",
    });
  },
};
