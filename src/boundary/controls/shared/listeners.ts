import { type Attack, type AttackRun, lazily } from '../../attacks/types.ts';

/** An attack that asks listeners of the pod's network namespace for credentials. */
export function askListeners(
  id: string,
  whom: string,
  rightReasons: readonly string[],
  pick: (file: typeof import('../../attacks/network.ts')) => AttackRun,
): Attack {
  return {
    id,
    family: 'network',
    what: `ask every ${whom} for credentials`,
    rightReasons: [...rightReasons, 'ECONNREFUSED', 'gRPC status UNIMPLEMENTED, no gRPC, or nothing'],
    run: lazily(async () => pick(await import('../../attacks/network.ts'))),
  };
}
