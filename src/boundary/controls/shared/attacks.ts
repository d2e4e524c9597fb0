/** The attacks of each family. A file of them is loaded when one is made: the process that serves never has it. */
import type { Attack, AttackRun, Family } from '../../attacks/types.ts';

/** Milliseconds for an attack that names no time of its own. */
const DEFAULT_BUDGET_MS = 2000;

/** Makes an attack of what a file has under its id. */
function attacksOf<Id extends string>(
  family: Family,
  load: () => Promise<{ readonly attacks: Readonly<Record<Id, AttackRun>> }>,
) {
  return (id: Id, what: string, rightReasons: readonly string[], budgetMs = DEFAULT_BUDGET_MS): Attack => ({
    id,
    family,
    what,
    rightReasons,
    budgetMs,
    run: async (context, tries) => (await load()).attacks[id](context, tries),
  });
}

export const fileAttack = attacksOf('files', () => import('../../attacks/files.ts'));
export const processAttack = attacksOf('processes', () => import('../../attacks/processes.ts'));
export const socketAttack = attacksOf('socket', () => import('../../attacks/socket.ts'));
export const networkAttack = attacksOf('network', () => import('../../attacks/network.ts'));
export const searchAttack = attacksOf('search', () => import('../../attacks/search.ts'));
export const socketFileAttack = attacksOf('socket-file', () => import('../../attacks/socket-file.ts'));
export const floodAttack = attacksOf('flood', () => import('../../attacks/flood.ts'));
