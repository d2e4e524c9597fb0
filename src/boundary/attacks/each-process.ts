/** The loop that the attacks on processes share. */
import { attemptOnProcess, type Gain } from './answer.ts';
import { describeProcess, foreignProcesses, MAX_PROCESSES, type ProcessEntry } from './surroundings.ts';
import type { AttackContext, AttackRun, Tries } from './types.ts';

/** An attack that is made on every foreign process. `act` returns what it gained, or throws the kernel's refusal. */
export function onEachProcess(act: (entry: ProcessEntry, context: AttackContext) => Gain): AttackRun {
  return (context, tries, right) => {
    for (const entry of processesToAttack(context, tries)) {
      attemptOnProcess(tries, describeProcess(entry), right, () => act(entry, context));
    }
  };
}

/** Every foreign process; says so where there is none, or where there are more than the self-test looks at. */
export function processesToAttack(context: AttackContext, tries: Tries): ProcessEntry[] {
  const processes = foreignProcesses(context);
  if (processes.length === 0) tries.notApplicable('no foreign process is visible');
  if (processes.length === MAX_PROCESSES) {
    tries.unclear(
      'further processes',
      `more than ${MAX_PROCESSES} are visible: is this the PID namespace of the node?`,
    );
  }
  return processes;
}
