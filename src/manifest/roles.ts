/** Who is who in a pod: which container is the agent, and which are supervisors. */
import { asList, asMap, asText, type Data, type Path } from './data.ts';
import {
  Annotation,
  EGRESS,
  ENVOY,
  KNOWN_AGENTS,
  KNOWN_SUPERVISORS,
  Label,
  RESOLVER,
  SELF_TESTS,
} from './names.ts';
import type { Pod } from './pod.ts';

/** What the command line says; undefined where it says nothing. */
export interface RoleChoice {
  readonly agent?: string | undefined;
  readonly supervisors?: readonly string[] | undefined;
  /** The pod holds a supervisor and no agent: OpenShell's layout of two pods. */
  readonly noAgent?: boolean | undefined;
}

export interface Roles {
  readonly agent: string | undefined;
  readonly supervisors: readonly string[];
}

/** Why the roles are not known, and what to do. `lint` and `inject` can live with some of it, hence `kind`. */
export interface RoleProblem {
  readonly kind: 'neither' | 'no-agent' | 'other';
  /** Relative to the pod template. */
  readonly path: Path;
  readonly message: string;
  readonly hint: string;
}

/**
 * A flag wins over an annotation, an annotation over what an earlier injection recorded, and that over the
 * names that are known. Several supervisors are accepted where they were named, never where they were guessed.
 */
export function findRoles(
  pod: Pod,
  annotations: Data,
  choice: RoleChoice,
  recorded: Partial<Roles> = {},
): Roles | RoleProblem {
  const names = pod.containers
    .map(({ name }) => name)
    .filter((name) => name !== RESOLVER && !SELF_TESTS.includes(name));
  const known = (list: readonly string[]) => list.filter((name) => names.includes(name));

  const annotatedAgent = asText(annotations[Annotation.agent]);
  const noAgent = choice.noAgent || (choice.agent === undefined && annotatedAgent === '');
  const agent = noAgent
    ? undefined
    : (choice.agent ?? annotatedAgent ?? recorded.agent ?? known(KNOWN_AGENTS)[0]);
  const annotatedSupervisors = asText(annotations[Annotation.supervisors])
    ?.split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  // Envoy never has the socket: its kit asks for it. Where the pod has an Envoy of its own and no kit, that one is meant.
  const isOurs = (name: string) => name === ENVOY && (names.includes(EGRESS) || !names.includes(ENVOY));
  const named = (choice.supervisors ?? annotatedSupervisors ?? recorded.supervisors)?.map((name) =>
    isOurs(name) ? EGRESS : name,
  );
  const guessed = known(KNOWN_SUPERVISORS);
  if (named === undefined && guessed.length > 1)
    return problem(
      `two supervisors found: ${guessed.join(' and ')}`,
      `say which with --supervisor, once for each, or with the annotation ${Annotation.supervisors}`,
    );
  const supervisors = [...new Set(named ?? guessed)];

  const all = names.join(', ');
  const annotated = annotatedAgent !== undefined || annotatedSupervisors !== undefined;
  if (!annotated && known([...supervisors, ...(agent === undefined ? [] : [agent])]).length === 0)
    return problem(
      `neither an agent nor a supervisor found among the containers ${all}`,
      `name them with --agent and --supervisor, or with the annotations ${Annotation.agent} and ${Annotation.supervisors}`,
      'neither',
    );
  // An earlier injection with `--no-agent` recorded supervisors and no agent; it need not be said again.
  if (agent === undefined && !noAgent && recorded.supervisors === undefined)
    return problem(
      `no agent found among the containers ${all}`,
      `name it with --agent or the annotation ${Annotation.agent}; --no-agent or an empty annotation if the pod has none; ${Annotation.inject}: "false" leaves the template out`,
      'no-agent',
    );
  if (supervisors.length === 0)
    return problem(
      `no supervisor found among the containers ${all}`,
      `name it with --supervisor or the annotation ${Annotation.supervisors}; OpenShell's combined topology has none: set supervisor.topology=sidecar in its chart; ${Annotation.inject}: "false" or --only leaves the template out`,
    );
  if (agent !== undefined && !names.includes(agent)) return notThere('agent', agent);
  const missing = supervisors.find((name) => name !== EGRESS && !names.includes(name));
  if (missing !== undefined) return notThere('supervisor', missing);
  const container = pod.containers.find(({ name }) => name === agent);
  if (container !== undefined && container.phase !== 'main')
    return problem(
      `the agent ${container.name} is an init container, which would run before the self-test`,
      'move it to spec.containers, so that it starts only after the self-test passed',
      'other',
      'initContainers',
    );
  return { agent, supervisors };
}

function notThere(role: 'agent' | 'supervisor', name: string): RoleProblem {
  const annotation = role === 'agent' ? Annotation.agent : Annotation.supervisors;
  return problem(
    `there is no container ${name} to be the ${role}`,
    `correct --${role} or the annotation ${annotation}`,
  );
}

function problem(
  message: string,
  hint: string,
  kind: RoleProblem['kind'] = 'other',
  list = 'containers',
): RoleProblem {
  return { kind, path: ['spec', list], message, hint };
}

/** The choice for a template: the supervisor's own pod of OpenShell 0.1.x, with nothing else in it, has no agent. */
export function choiceFor(
  { metadata, spec }: { metadata: Data; spec: Data },
  choice: RoleChoice,
): RoleChoice {
  const named = choice.agent !== undefined || asMap(metadata.annotations)[Annotation.agent] !== undefined;
  const isSupervisor = (item: unknown) => KNOWN_SUPERVISORS.some((name) => name === asMap(item).name);
  const alone =
    asMap(metadata.labels)[Label.component] === 'supervisor' && asList(spec.containers).every(isSupervisor);
  return alone && !named ? { ...choice, noAgent: true } : choice;
}

export function isRoleProblem(result: Roles | RoleProblem): result is RoleProblem {
  return 'kind' in result;
}
