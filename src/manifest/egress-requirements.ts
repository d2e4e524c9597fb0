/** What configuration and pod must agree on before inject adds an Envoy. */
import type { ConfigIssue } from '../domain/errors.ts';
import { asList, asMap } from './data.ts';
import { addsEnvoy, agentVariables, kitCaller, mayDiffer } from './egress.ts';
import { EGRESS, ENVOY } from './names.ts';
import { socketMount } from './parts.ts';
import { type Container, isWithin } from './pod.ts';
import { agentOf, configIssue, podIssue, type Situation } from './situation.ts';

export function* egressIssues(situation: Situation): Iterable<ConfigIssue> {
  const { pod, roles, config } = situation;
  if (!addsEnvoy(roles)) return;
  const { directory, caDirectory } = config.egress;

  for (const { name, path } of pod.containers)
    if (name === EGRESS || name === ENVOY)
      yield podIssue(
        situation,
        [...path, 'name'],
        `is the name of a container that --supervisor ${ENVOY} adds`,
        'rename this one, or name another supervisor',
      );
  if (kitCaller(config) === undefined)
    yield configIssue(
      situation,
      'callers lists no UID for the egress process but root, which it cannot run as',
      'add {name: egress, uid: 1337, providers: ["*"]} to callers',
    );
  for (const [field, folder] of Object.entries({ directory, caDirectory }))
    if (isWithin(folder, socketMount(config)))
      yield configIssue(
        situation,
        `egress.${field} is in ${socketMount(config)}, where the socket's volume is mounted read-only: nothing can be mounted there`,
        'write a folder that is not in it',
      );
  const agent = agentOf(situation);
  if (agent !== undefined) yield* agentIssues(agent, situation);
  else
    yield podIssue(
      situation,
      ['containers'],
      'the pod has no agent, and Envoy serves only the agent of its own pod',
      'name the agent',
    );
}

function* agentIssues(agent: Container, situation: Situation): Iterable<ConfigIssue> {
  const { config } = situation;
  const variables = agentVariables(config);
  for (const [index, variable] of asList(agent.data.env).entries()) {
    const { name, value } = asMap(variable);
    const ours = variables.get(String(name));
    if (ours === undefined || ours === value || mayDiffer(String(name))) continue;
    yield podIssue(
      situation,
      [...agent.path, 'env', index],
      `the agent ${agent.name} has ${name}, which inject sets to ${ours}`,
      'remove the variable',
    );
  }
  for (const { mountPath, path } of agent.mounts)
    if (mountPath === config.egress.caDirectory)
      yield podIssue(
        situation,
        path,
        `the agent ${agent.name} has something else mounted at ${mountPath}, where the CA's certificate belongs`,
        'mount that elsewhere, or change egress.caDirectory',
      );
}
