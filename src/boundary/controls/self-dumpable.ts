import { type Attack, type AttackRun, CALL_REFUSED, lazily, REFUSED } from '../attacks/types.ts';
import type { Control } from '../control.ts';
import { fail, pass } from '../finding.ts';
import { refusedStep } from './shared/hardening.ts';

const processes = (pick: (file: typeof import('../attacks/processes.ts')) => AttackRun) =>
  lazily(async () => pick(await import('../attacks/processes.ts')));
const calls = (pick: (file: typeof import('../attacks/calls.ts')) => AttackRun) =>
  lazily(async () => pick(await import('../attacks/calls.ts')));

function attack(id: string, what: string, rightReasons: readonly string[], run: AttackRun): Attack {
  return { id, family: 'processes', what, rightReasons, run };
}

export const selfDumpable: Control = {
  id: 'self-dumpable',
  group: 'self',
  severity: 'enforce',
  threat: 'A process of the same UID reads the memory, environment and descriptors of a dumpable process.',
  promise: "No process but root's reads the resolver's memory, environment or descriptors.",
  check: {
    run: (facts) =>
      facts.self.dumpable === 0
        ? pass('PR_GET_DUMPABLE 0: processes of the same UID cannot read our memory')
        : fail(
            `PR_GET_DUMPABLE ${facts.self.dumpable ?? 'cannot be asked'}${refusedStep(facts, 'dumpable')}`,
            'securityContext.seccompProfile: {type: RuntimeDefault} (a filter of your own must allow prctl)',
          ),
  },
  attacks: [
    attack(
      'process-environment',
      'read /proc/<pid>/environ',
      REFUSED,
      processes((f) => f.attackEnvironment),
    ),
    attack(
      'process-memory',
      'open and read /proc/<pid>/mem',
      REFUSED,
      processes((f) => f.attackMemoryFile),
    ),
    attack(
      'process-maps',
      'read /proc/<pid>/maps',
      REFUSED,
      processes((f) => f.attackMaps),
    ),
    attack(
      'process-descriptors',
      'list /proc/<pid>/fd',
      REFUSED,
      processes((f) => f.attackDescriptorList),
    ),
    attack(
      'process-root',
      'go through /proc/<pid>/root',
      REFUSED,
      processes((f) => f.attackRoot),
    ),
    attack(
      'process-cwd',
      'resolve /proc/<pid>/cwd',
      REFUSED,
      processes((f) => f.attackCwd),
    ),
    attack(
      'process-exe',
      'resolve /proc/<pid>/exe',
      REFUSED,
      processes((f) => f.attackExe),
    ),
    attack(
      'process-namespaces',
      'resolve /proc/<pid>/ns/mnt',
      REFUSED,
      processes((f) => f.attackNamespaces),
    ),
    attack(
      'ptrace',
      'attach as a debugger',
      CALL_REFUSED,
      calls((f) => f.attackByPtrace),
    ),
    attack(
      'process-vm-readv',
      'read memory with process_vm_readv',
      CALL_REFUSED,
      calls((f) => f.attackMemory),
    ),
    attack(
      'pidfd-getfd',
      'copy a descriptor with pidfd_getfd',
      CALL_REFUSED,
      calls((f) => f.attackDescriptors),
    ),
  ],
};
