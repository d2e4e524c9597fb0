import { Annotation } from '../../manifest/names.ts';
import { type Control, cel } from '../control.ts';

export const roleNotFound: Control = {
  id: 'role-not-found',
  group: 'pod',
  severity: 'enforce',
  threat: 'Without its roles a pod gets no self-test or no socket.',
  promise: 'The agent and every supervisor are containers of the pod.',
  expression: {
    cel: cel`
      (variables.agent == "" || variables.agents.size() == 1)
      && variables.supervisors.size() > 0
      && variables.supervisors.all(s, variables.containers.exists(c, c.name == s))
      && (variables.supervisors.size() == 1 || variables.supervisorsAreNamed)`,
    message: `the agent or a supervisor is not among the containers; name them in the annotations ${Annotation.agent} and ${Annotation.supervisors}`,
  },
};
