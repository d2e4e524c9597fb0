import type { Control } from '../control.ts';

const REMEDY = "set supervisor.topology=sidecar in OpenShell's Helm chart";

export const combinedTopology: Control = {
  id: 'combined-topology',
  group: 'pod',
  severity: 'enforce',
  threat:
    'If agent and supervisor share a container, they share its mounts and its UID range, and nothing keeps the agent from the values.',
  promise: 'Agent and supervisor are two containers.',
  rule: {
    remedy: `Run the supervisor in a container of its own; ${REMEDY}.`,
    *find({ agent, roles }) {
      if (agent === undefined || !roles.supervisors.includes(agent.name)) return;
      yield {
        path: agent.path,
        message: `container ${agent.name} is both agent and supervisor (OpenShell's combined topology)`,
      };
    },
  },
  expression: {
    cel: 'variables.agents.all(a, !(a.name in variables.supervisors))',
    message: `one container is both agent and supervisor; ${REMEDY}`,
  },
};
