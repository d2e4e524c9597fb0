import type { Control } from '../control.ts';

export const selfTestMissing: Control = {
  id: 'self-test-missing',
  group: 'self',
  severity: 'warn',
  threat: 'Without the self-test a pod whose boundary is broken starts its agent.',
  promise: 'The boundary is attacked before the agent starts.',
  rule: {
    remedy: 'Inject again: the self-test is the last init container.',
    *find({ pod, agent, resolver }) {
      if (pod.selfTest !== undefined || agent === undefined) return;
      yield {
        path: resolver.path,
        message: `nothing tries the boundary before the agent ${agent.name} starts`,
      };
    },
  },
  expression: {
    cel: 'variables.agents.size() == 0 || variables.selfTest.size() == 1',
    message: 'nothing tries the boundary before the agent starts',
  },
};
