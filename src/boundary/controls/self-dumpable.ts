import { CALL_REFUSED, REFUSED } from '../attacks/types.ts';
import { type Control, fail, pass } from '../control.ts';
import { processAttack } from './shared/attacks.ts';
import { refusedStep } from './shared/hardening.ts';

export const selfDumpable: Control = {
  id: 'self-dumpable',
  group: 'self',
  severity: 'enforce',
  threat: 'A process of the same UID reads the memory, environment and descriptors of a dumpable process.',
  promise: "No process but root's reads the resolver's memory, environment or descriptors.",
  check: (facts) =>
    facts.self.dumpable === 0
      ? pass('PR_GET_DUMPABLE 0: processes of the same UID cannot read our memory')
      : fail(
          `PR_GET_DUMPABLE ${facts.self.dumpable ?? 'cannot be asked'}${refusedStep(facts, 'dumpable')}`,
          'securityContext.seccompProfile: {type: RuntimeDefault} (a filter of your own must allow prctl)',
        ),
  attacks: [
    processAttack('process-environment', 'read /proc/<pid>/environ', REFUSED),
    processAttack('process-memory', 'open and read /proc/<pid>/mem', REFUSED),
    processAttack('process-maps', 'read /proc/<pid>/maps', REFUSED),
    processAttack('process-descriptors', 'list /proc/<pid>/fd', REFUSED),
    processAttack('process-root', 'go through /proc/<pid>/root', REFUSED),
    processAttack('process-cwd', 'resolve /proc/<pid>/cwd', REFUSED),
    processAttack('process-exe', 'resolve /proc/<pid>/exe', REFUSED),
    processAttack('process-namespaces', 'resolve /proc/<pid>/ns/mnt', REFUSED),
    processAttack('ptrace', 'attach as a debugger', CALL_REFUSED),
    processAttack('process-vm-readv', 'read memory with process_vm_readv', CALL_REFUSED),
    processAttack('pidfd-getfd', 'copy a descriptor with pidfd_getfd', CALL_REFUSED),
  ],
};
