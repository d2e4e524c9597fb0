import { type Control, fail, pass } from '../control.ts';
import { refusedStep } from './shared/hardening.ts';

export const selfNoNewPrivs: Control = {
  id: 'self-no-new-privs',
  group: 'self',
  severity: 'enforce',
  threat: 'A setuid program in the image would give a compromised resolver more privileges.',
  promise: 'The resolver cannot gain privileges.',
  check: (facts) => {
    const { noNewPrivileges, hardening } = facts.self;
    if (noNewPrivileges !== true) {
      return fail(
        `NoNewPrivs ${noNewPrivileges === false ? 0 : 'cannot be asked'}${refusedStep(facts, 'no-new-privileges')}`,
        'securityContext.allowPrivilegeEscalation: false',
      );
    }
    return pass(
      hardening.hadNoNewPrivileges === false
        ? 'NoNewPrivs 1, set by the resolver: allowPrivilegeEscalation: false would set it from the start'
        : 'NoNewPrivs 1',
    );
  },
};
