/** What configuration and pod must agree on before inject adds an Envoy. */
import type { ConfigIssue } from '../domain/errors.ts';
import { asList, asMap, type Path } from './data.ts';
import { addsEnvoy, agentVariables, kitCaller, mayDiffer } from './egress.ts';
import { EGRESS, ENVOY } from './names.ts';
import { socketMount } from './parts.ts';
import { type Container, isWithin } from './pod.ts';
import type { Situation } from './situation.ts';
import { wholeFile } from './stream.ts';

export function egressIssues(situation: Situation): ConfigIssue[] {
  const { stream, template, pod, roles, config } = situation;
  if (!addsEnvoy(roles)) return [];
  const issues: ConfigIssue[] = [];
  const at = (path: Path, message: string, hint: string) =>
    issues.push(stream.issueAt(template.document, [...template.specPath, ...path], message, hint));
  const wrong = (message: string, hint: string) => issues.push(wholeFile(config.file, message, hint));
  const { directory, caDirectory } = config.egress;

  for (const { name, path } of pod.containers)
    if (name === EGRESS || name === ENVOY)
      at(
        [...path, 'name'],
        `is the name of a container that --supervisor ${ENVOY} adds`,
        'rename this one, or name another supervisor',
      );
  if (kitCaller(config) === undefined)
    wrong(
      'callers lists no UID for the egress process but root, which it cannot run as',
      'add {name: egress, uid: 1337, providers: ["*"]} to callers',
    );
  for (const [field, folder] of Object.entries({ directory, caDirectory }))
    if (isWithin(folder, socketMount(config)))
      wrong(
        `egress.${field} is in ${socketMount(config)}, where the socket's volume is mounted read-only: nothing can be mounted there`,
        'write a folder that is not in it',
      );
  const agent = pod.containers.find(({ name }) => name === roles.agent);
  if (agent === undefined)
    at(
      ['containers'],
      'the pod has no agent, and Envoy serves only the agent of its own pod',
      'name the agent',
    );
  else agentIssues(agent, situation, at);
  return issues;
}

function agentIssues(
  agent: Container,
  { config }: Situation,
  at: (path: Path, message: string, hint: string) => void,
): void {
  const variables = agentVariables(config);
  asList(agent.data.env).forEach((value, index) => {
    const { name, value: own } = asMap(value);
    const ours = variables.get(String(name));
    if (ours === undefined || ours === own || mayDiffer(String(name))) return;
    at(
      [...agent.path, 'env', index],
      `the agent ${agent.name} has ${name}, which inject sets to ${ours}`,
      'remove the variable',
    );
  });
  for (const { mountPath, path } of agent.mounts)
    if (mountPath === config.egress.caDirectory)
      at(
        path,
        `the agent ${agent.name} has something else mounted at ${mountPath}, where the CA's certificate belongs`,
        'mount that elsewhere, or change egress.caDirectory',
      );
}
