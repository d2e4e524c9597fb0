/** What configuration and pod must agree on before anything is injected. Each disagreement would show only in the cluster. */

import { type Config, NO_AGENT, referencedSecrets, secretId } from '../config/config.ts';
import { DEFAULT_SOCKET } from '../domain/default-paths.ts';
import type { ConfigIssue } from '../domain/errors.ts';
import { RESERVED_UIDS, SHARED_FOLDERS } from '../domain/kubernetes.ts';
import { asMap, asText } from './data.ts';
import { addsEnvoy, egressContainers } from './egress.ts';
import { egressIssues } from './egress-requirements.ts';
import { issueAt, objectName, type PodTemplate } from './kinds.ts';
import { CONFIG_FILE, CONFIG_MOUNT, Label, TOKEN_ANNOTATIONS } from './names.ts';
import { isLoopback, socketMount } from './parts.ts';
import { isWithin, listensOn, readPod } from './pod.ts';
import type { Roles } from './roles.ts';
import { agentOf, configIssue, podIssue, type Situation } from './situation.ts';

export function requirementIssues(situation: Situation): ConfigIssue[] {
  return [
    ...secretIssues(situation),
    ...configIssues(situation),
    ...userIssues(situation),
    ...mountIssues(situation),
    ...socketIssues(situation),
    ...portIssues(situation),
    ...egressIssues(situation),
  ];
}

/** What is wrong with a template whatever the configuration says. */
export function* templateIssues(template: PodTemplate, roles: Roles): Iterable<ConfigIssue> {
  const { annotations, spec } = template;
  if (roles.agent !== undefined && roles.supervisors.includes(roles.agent))
    yield issueAt(
      template,
      ['spec'],
      `container ${roles.agent} is both agent and supervisor (OpenShell's combined topology): nothing separates them`,
      "set supervisor.topology=sidecar in OpenShell's Helm chart",
    );
  if (![undefined, 'true'].includes(asText(asMap(template.metadata.labels)[Label.injected])))
    yield issueAt(
      template,
      ['metadata', 'labels', Label.injected],
      'is a label that inject writes',
      'remove it',
    );
  if (spec.automountServiceAccountToken !== undefined) return;
  for (const { key, enabled, instead } of TOKEN_ANNOTATIONS) {
    const name = Object.keys(annotations).find(
      (each) => key.test(each) && enabled.test(String(annotations[each])),
    );
    if (name === undefined || (instead !== undefined && annotations[instead] !== undefined)) continue;
    yield issueAt(
      template,
      ['metadata', 'annotations', name],
      "asks for a container that needs the pod's service account token, which inject would switch off",
      instead === undefined
        ? 'write automountServiceAccountToken: true, and accept by --ignore service-account-token that the agent gets it, too'
        : `give that container a projected token of its own and name its volume in ${instead}`,
    );
  }
}

/** A pod that names a service account probably wants its token, which the agent must not have. */
export function tokenNotes({ object, spec }: PodTemplate): string[] {
  // The API server still reads the deprecated name.
  const account = asText(spec.serviceAccountName) ?? asText(spec.serviceAccount);
  if (account === undefined || spec.automountServiceAccountToken !== undefined) return [];
  return [
    `${objectName(object)}: automountServiceAccountToken: false was added, so no container gets the token of ${account}; a container that needs one can mount a projected serviceAccountToken volume`,
  ];
}

/** A provider whose profile nobody reads has no endpoints and no names but its own. */
export function profileNotes({ file, profilesDir, providers }: Config): string[] {
  if (profilesDir !== undefined) return [];
  return providers
    .filter(({ type }) => type !== 'custom')
    .map(({ name, type, endpoints }) => {
      const result =
        endpoints.length === 0 ? 'each of its credentials is refused' : 'its own endpoints count';
      return `${file}: provider ${name} has the type ${type}, but profilesDir is not set, so no profile is read and ${result} (set profilesDir, or write type: custom)`;
    });
}

/** The containers of a pod share one network: a port is free for one of them. */
function* portIssues(situation: Situation): Iterable<ConfigIssue> {
  const { pod, roles, config } = situation;
  const listeners = [
    { field: 'health.listen', port: config.health?.listen.port },
    { field: 'metrics.listen', port: config.metrics?.listen.port },
    ...(addsEnvoy(roles) ? [{ field: 'egress.listen', port: config.egress.listen.port }] : []),
  ].filter(({ port }) => port !== undefined);
  const shared = [...Map.groupBy(listeners, ({ port }) => port).values()].find(({ length }) => length > 1);
  if (shared !== undefined) {
    const [one, two] = shared.map(({ field }) => field);
    yield configIssue(situation, `${one} and ${two} have the same port`, 'write two different ports');
    return;
  }
  for (const { name, port, protocol, path } of pod.containers
    .filter(({ phase }) => phase !== 'init')
    .flatMap((container) => listensOn(container).map((each) => ({ ...each, name: container.name })))) {
    const taken = listeners.find((each) => each.port === port);
    if (taken === undefined || protocol !== 'TCP') continue;
    yield podIssue(
      situation,
      path,
      `container ${name} listens on port ${port}, which is also ${taken.field} in ${config.file}`,
      `write another port in ${taken.field}: all containers of a pod share one network`,
    );
  }
}

function* secretIssues(situation: Situation): Iterable<ConfigIssue> {
  const { template, config } = situation;
  const { namespace } = config.sandbox;
  const declared = template.object.namespace;
  if (declared !== undefined && declared !== namespace)
    yield configIssue(
      situation,
      `sandbox.namespace is ${namespace}, and the manifest is for ${declared}`,
      'leave sandbox.namespace out: the downward API sets it',
    );
  for (const secret of referencedSecrets(config)) {
    if (secret.namespace === namespace) continue;
    yield issueAt(
      template.object,
      ['metadata', 'namespace'],
      `the pod is in namespace ${namespace}, and a pod cannot mount the Secret ${secretId(secret)} of another namespace`,
      `let ESO write a copy into ${namespace} by an ExternalSecret there, and name that one in the provider file`,
    );
  }
}

function* configIssues(situation: Situation): Iterable<ConfigIssue> {
  const { config, settings } = situation;
  const wrong = (message: string, hint: string) => configIssue(situation, message, hint);
  if (config.health === undefined)
    yield wrong(
      'health is not set, and the kubelet has nothing to probe',
      'write health: {listen: "[::]:8086"}',
    );
  else if (isLoopback(config.health.listen.host))
    yield wrong(
      'health.listen is a loopback address, which the kubelet does not reach',
      `write health: {listen: "[::]:${config.health.listen.port}"}; no value is ever served there`,
    );
  if (config.audit.path !== undefined)
    yield wrong(
      'audit.path is set, and the root file system of the sidecar is read-only',
      'leave it out: the audit goes to stdout, which the cluster collects',
    );
  for (const name of ['providers', 'profiles'] as const) {
    const folder = config[`${name}Dir`];
    if (folder === undefined || (folder !== CONFIG_MOUNT && isWithin(folder, CONFIG_MOUNT))) continue;
    yield wrong(
      `${name}Dir is ${folder}, and the ConfigMaps are mounted at ${CONFIG_MOUNT}`,
      `write a folder below ${CONFIG_MOUNT}, for example ${CONFIG_MOUNT}/${name}`,
    );
  }
  if (settings.providerFiles.includes(CONFIG_FILE))
    yield wrong(
      `a provider file is called ${CONFIG_FILE} too, and one ConfigMap holds both`,
      'give the provider file another name',
    );
  const folder = socketMount(config);
  if (SHARED_FOLDERS.some((shared) => shared === folder))
    yield wrong(
      `socket.path would need a volume at ${folder}, which hides everything else in it`,
      `put the socket in a folder of its own in a folder for the volume: ${DEFAULT_SOCKET}`,
    );
}

function* userIssues(situation: Situation): Iterable<ConfigIssue> {
  const { pod, roles, config, settings } = situation;
  const taken =
    RESERVED_UIDS.get(settings.uid) ??
    (settings.uid === config.agent.uid
      ? "the agent's UID in the configuration"
      : config.callers.find(({ uid }) => uid === settings.uid) && "a caller's UID in the configuration");
  if (taken !== undefined)
    yield configIssue(
      situation,
      `the resolver cannot run as UID ${settings.uid}: it is ${taken}`,
      'choose another --uid',
    );
  for (const [field, entries] of [
    ['boundary.trusted', config.boundary.trusted],
    ['callers', config.callers],
  ] as const)
    for (const [index, { uid, exe }] of entries.entries()) {
      if (exe === undefined || uid === settings.uid) continue;
      yield configIssue(
        situation,
        `${field}[${index}].exe never matches: the resolver cannot read the program of UID ${uid}, only of its own`,
        'remove exe',
      );
    }
  const agent = agentOf(situation);
  if (agent !== undefined && config.agent === NO_AGENT)
    yield podIssue(
      situation,
      agent.path,
      `the pod has the agent ${agent.name}, and ${config.file} says agent: {present: false}`,
      'write its uid and gid there, or inject with --no-agent',
    );
  else if (agent?.uid !== undefined && agent.uid !== config.agent.uid)
    yield podIssue(
      situation,
      [...agent.path, 'securityContext', 'runAsUser'],
      `the agent ${agent.name} runs as UID ${agent.uid}, and the boundary in the configuration is against UID ${config.agent.uid}`,
      `write agent: {uid: ${agent.uid}} in ${config.file}, or change runAsUser`,
    );
  for (const { name, uid, gid, path } of pod.containers) {
    if (uid === undefined || !roles.supervisors.includes(name)) continue;
    const listed = config.callers.filter((caller) => caller.uid === uid);
    if (listed.some((caller) => caller.gid === undefined || gid === undefined || caller.gid === gid))
      continue;
    const who = `UID ${uid}${gid === undefined ? '' : ` and GID ${gid}`}`;
    yield podIssue(
      situation,
      [...path, 'securityContext', listed.length === 0 ? 'runAsUser' : 'runAsGroup'],
      `the supervisor ${name} runs as ${who}, and callers does not list it: it would be refused`,
      `add {name: ${name}, uid: ${uid}, providers: ["*"]} to callers in ${config.file}`,
    );
  }
}

/** A path can be mounted once in a container. */
function* mountIssues(situation: Situation): Iterable<ConfigIssue> {
  const { pod, roles, config } = situation;
  const folder = socketMount(config);
  for (const { name, mounts } of pod.containers.filter((each) => roles.supervisors.includes(each.name)))
    for (const { path } of mounts.filter(({ mountPath }) => mountPath === folder))
      yield podIssue(
        situation,
        path,
        `the supervisor ${name} has something else mounted at ${folder}, where the socket belongs`,
        'mount that elsewhere, or change socket.path in the configuration',
      );
}

/**
 * connect() needs write permission on the socket. The list of callers decides who is served, but a supervisor that
 * the modes keep out never gets that far, and would show only as a pod that does not work.
 */
function* socketIssues(situation: Situation): Iterable<ConfigIssue> {
  const { pod, roles, config, settings } = situation;
  const { mode, gid } = config.socket;
  const group = gid ?? settings.uid;
  if (group !== settings.uid && !pod.groups.includes(group)) {
    yield configIssue(
      situation,
      `socket.gid is ${group}, which is not a group of the resolver in this pod`,
      `write securityContext.fsGroup: ${group} for the pod, or leave socket.gid out`,
    );
    return;
  }
  if ((mode & 0o002) !== 0) return;
  const added = addsEnvoy(roles) ? egressContainers(config, settings) : [];
  const containers = [
    ...pod.containers,
    ...readPod({ initContainers: added }).containers.map((each) => ({ ...each, path: ['initContainers'] })),
  ];
  for (const container of containers) {
    if (!roles.supervisors.includes(container.name)) continue;
    const inGroup = container.gid === group || pod.groups.includes(group);
    const passesModes =
      container.uid === 0 && (!container.dropsAll || container.addedCapabilities.includes('DAC_OVERRIDE'));
    if (passesModes || (inGroup && (mode & 0o020) !== 0)) continue;
    yield podIssue(
      situation,
      container.path,
      `the supervisor ${container.name} could not connect: the socket has mode 0${mode.toString(8)} and group ${group}`,
      'write socket: {mode: "0666"}: the list of callers is the fence, and no other container mounts the folder; or a socket.gid that the supervisor has',
    );
  }
}
