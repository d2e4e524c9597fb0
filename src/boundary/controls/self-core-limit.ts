import { type Control, fail, pass, unknown } from '../control.ts';
import { refusedStep } from './shared/hardening.ts';

const REMEDY =
  'securityContext.seccompProfile: {type: RuntimeDefault} (a filter of your own must allow prlimit)';

export const selfCoreLimit: Control = {
  id: 'self-core-limit',
  group: 'self',
  severity: 'enforce',
  threat: 'A core file holds every value that the process held.',
  promise: 'A crash leaves no core file.',
  check: (facts) => {
    const limit = facts.self.coreLimit;
    if (limit === undefined) return unknown('RLIMIT_CORE cannot be asked', REMEDY);
    return limit.soft === 0 && limit.hard === 0
      ? pass('RLIMIT_CORE 0, soft and hard')
      : fail(
          `RLIMIT_CORE soft ${limit.soft}, hard ${limit.hard} bytes${refusedStep(facts, 'core-limit')}`,
          REMEDY,
        );
  },
};
