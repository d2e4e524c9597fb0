import { canonicalJson, type Data } from '../../manifest/data.ts';
import { type Control, cel } from '../control.ts';

export const selfTestDiffers: Control = {
  id: 'self-test-differs',
  group: 'self',
  severity: 'enforce',
  threat:
    "The self-test proves something about the agent only with the agent's own security context and mounts.",
  promise: 'The self-test runs with the security context and the mounts of the agent.',
  rule: {
    remedy: 'Inject again after the agent was changed.',
    *find({ pod, agent }) {
      const { selfTest } = pod;
      if (selfTest === undefined || agent === undefined) return;
      for (const [field, verb] of [
        ['securityContext', 'is not that'],
        ['volumeMounts', 'are not those'],
      ] as const) {
        if (comparable(selfTest.data, field) === comparable(agent.data, field)) continue;
        yield {
          path: [...selfTest.path, field],
          message: `the self-test's ${field} ${verb} of the agent ${agent.name}`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      variables.selfTest.all(p, variables.agents.all(a,
        has(p.securityContext) == has(a.securityContext)
        && (!has(p.securityContext) || p.securityContext == a.securityContext)
        && p.?volumeMounts.orValue([]) == a.?volumeMounts.orValue([])))`,
    message: "the securityContext or the volumeMounts of the self-test differ from the agent's",
  },
};

function comparable(container: Data, field: string): string {
  const value = container[field];
  return canonicalJson(Array.isArray(value) && value.length === 0 ? null : (value ?? null));
}
