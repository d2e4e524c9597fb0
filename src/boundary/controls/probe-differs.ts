import { canonicalJson, type Data } from '../../manifest/data.ts';
import type { Control } from '../control.ts';
import { cel } from '../expression.ts';

export const probeDiffers: Control = {
  id: 'probe-differs',
  group: 'self',
  severity: 'enforce',
  threat:
    "The self-test proves something about the agent only with the agent's own security context and mounts.",
  promise: 'The self-test runs with the security context and the mounts of the agent.',
  rule: {
    about: 'pod',
    remedy: 'Inject again after the agent was changed.',
    *find({ pod, agent }) {
      const { probe } = pod;
      if (probe === undefined || agent === undefined) return;
      for (const [field, verb] of [
        ['securityContext', 'is not that'],
        ['volumeMounts', 'are not those'],
      ] as const) {
        if (comparable(probe.data, field) === comparable(agent.data, field)) continue;
        yield {
          path: [...probe.path, field],
          message: `the probe's ${field} ${verb} of the agent ${agent.name}`,
        };
      }
    },
  },
  expression: {
    cel: cel`
      variables.probe.all(p, variables.agents.all(a,
        has(p.securityContext) == has(a.securityContext)
        && (!has(p.securityContext) || p.securityContext == a.securityContext)
        && p.?volumeMounts.orValue([]) == a.?volumeMounts.orValue([])))`,
    message: "the probe has not the agent's securityContext and volumeMounts",
  },
};

function comparable(container: Data, field: string): string {
  const value = container[field];
  return canonicalJson(Array.isArray(value) && value.length === 0 ? null : (value ?? null));
}
