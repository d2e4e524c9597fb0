import { asList, asMap } from '../../manifest/data.ts';
import type { Control } from '../control.ts';
import { kitAndEnvoy } from './shared/egress.ts';

export const proxyVariable: Control = {
  id: 'proxy-variable',
  group: 'configuration',
  severity: 'warn',
  threat:
    'A program that does not know the proxy sends its placeholders to the destination, which refuses them.',
  promise: "The agent's environment has the address of the proxy.",
  rule: {
    remedy: 'Inject again with --supervisor envoy, or set HTTPS_PROXY in the container of the agent.',
    *find(subject) {
      const { agent } = subject;
      if (agent === undefined || kitAndEnvoy(subject).length === 0) return;
      if (asList(agent.data.env).some((entry) => /^https_proxy$/i.test(String(asMap(entry).name)))) return;
      yield { path: agent.path, message: `the agent ${agent.name} has no variable HTTPS_PROXY` };
    },
  },
};
