/** What configuration and pod must agree on before anything is injected. Each disagreement would show only in the cluster. */
import { type Config, NO_AGENT, referencedSecrets, secretId } from '../config/config.ts';
import type { ConfigIssue } from '../domain/errors.ts';
import { RESERVED_UIDS, SHARED_FOLDERS } from '../domain/kubernetes.ts';
import { asMap, asText, type Path } from './data.ts';
import { addsEnvoy, egressContainers } from './egress.ts';
import { egressIssues } from './egress-requirements.ts';
import { objectName, type PodTemplate } from './kinds.ts';
import { CONFIG_FILE, CONFIG_MOUNT, Label, TOKEN_ANNOTATIONS } from './names.ts';
import { isLoopback, socketMount } from './parts.ts';
import { isWithin, listensOn, readPod } from './pod.ts';
import type { Roles } from './roles.ts';
import type { Situation } from './situation.ts';
import { type ManifestStream, wholeFile } from './stream.ts';

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
export function templateIssues(stream: ManifestStream, template: PodTemplate, roles: Roles): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const at = (path: Path, message: string, hint: string) =>
    issues.push(stream.issueAt(template.document, path, message, hint));
  const { path, annotations, spec } = template;
  if (roles.agent !== undefined && roles.supervisors.includes(roles.agent)) {
    at(
      template.specPath,
      `container ${roles.agent} is both agent and supervisor (OpenShell's combined topology): nothing separates them`,
      "set supervisor.topology=sidecar in OpenShell's Helm chart",
    );
  }
  if (![undefined, 'true'].includes(asText(asMap(template.metadata.labels)[Label.injected]))) {
    at([...path, 'metadata', 'labels', Label.injected], 'is a label that inject writes', 'remove it');
  }
  for (const { key, enabled, instead } of TOKEN_ANNOTATIONS) {
    const name = Object.keys(annotations).find(
      (each) => key.test(each) && enabled.test(String(annotations[each])),
    );
    if (name === undefined || spec.automountServiceAccountToken !== undefined) continue;
    if (instead !== undefined && annotations[instead] !== undefined) continue;
    at(
      [...path, 'metadata', 'annotations', name],
      "asks for a container that needs the pod's service account token, which inject would switch off",
      instead === undefined
        ? 'write automountServiceAccountToken: true, and accept by --ignore service-account-token that the agent gets it, too'
        : `give that container a projected token of its own and name its volume in ${instead}`,
    );
  }
  return issues;
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
function portIssues({ stream, template, pod, roles, config }: Situation): ConfigIssue[] {
  const listeners = [
    { field: 'health.listen', port: config.health?.listen.port },
    { field: 'metrics.listen', port: config.metrics?.listen.port },
    ...(addsEnvoy(roles) ? [{ field: 'egress.listen', port: config.egress.listen.port }] : []),
  ].filter(({ port }) => port !== undefined);
  const [one, two] = listeners.flatMap((each) => {
    const twin = listeners.find((other) => other !== each && other.port === each.port);
    return twin === undefined ? [] : [each, twin];
  });
  if (one !== undefined && two !== undefined) {
    return [
      wholeFile(config.file, `${one.field} and ${two.field} have the same port`, 'write two different ports'),
    ];
  }
  return pod.containers.flatMap((container) =>
    container.phase === 'init'
      ? []
      : listensOn(container).flatMap(({ port, protocol, path }) => {
          const taken = listeners.find((each) => each.port === port);
          if (taken === undefined || protocol !== 'TCP') return [];
          return stream.issueAt(
            template.document,
            [...template.specPath, ...path],
            `container ${container.name} listens on port ${port}, which is also ${taken.field} in ${config.file}`,
            `write another port in ${taken.field}: all containers of a pod share one network`,
          );
        }),
  );
}

function secretIssues({ stream, template, config }: Situation): ConfigIssue[] {
  const { namespace } = config.sandbox;
  const issues: ConfigIssue[] = [];
  const declared = template.object.namespace;
  if (declared !== undefined && declared !== namespace) {
    issues.push(
      wholeFile(
        config.file,
        `sandbox.namespace is ${namespace}, and the manifest is for ${declared}`,
        'leave sandbox.namespace out: the downward API sets it',
      ),
    );
  }
  for (const secret of referencedSecrets(config)) {
    if (secret.namespace === namespace) continue;
    issues.push(
      stream.issueAt(
        template.document,
        [...template.object.path, 'metadata', 'namespace'],
        `the pod is in namespace ${namespace}, and a pod cannot mount the Secret ${secretId(secret)} of another namespace`,
        `let ESO write a copy into ${namespace} by an ExternalSecret there, and name that one in the provider file`,
      ),
    );
  }
  return issues;
}

function configIssues({ config, settings }: Situation): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const wrong = (message: string, hint: string) => issues.push(wholeFile(config.file, message, hint));
  if (config.health === undefined) {
    wrong('health is not set, and the kubelet has nothing to probe', 'write health: {listen: "[::]:8086"}');
  } else if (isLoopback(config.health.listen.host)) {
    wrong(
      'health.listen is a loopback address, which the kubelet does not reach',
      `write health: {listen: "[::]:${config.health.listen.port}"}; no value is ever served there`,
    );
  }
  if (config.audit.path !== undefined) {
    wrong(
      'audit.path is set, and the root file system of the sidecar is read-only',
      'leave it out: the audit goes to stdout, which the cluster collects',
    );
  }
  for (const [field, folder] of [
    ['providersDir', config.providersDir],
    ['profilesDir', config.profilesDir],
  ] as const) {
    if (folder === undefined || (folder !== CONFIG_MOUNT && isWithin(folder, CONFIG_MOUNT))) continue;
    wrong(
      `${field} is ${folder}, and the ConfigMaps are mounted at ${CONFIG_MOUNT}`,
      `write a folder below ${CONFIG_MOUNT}, for example ${CONFIG_MOUNT}/${field.replace('Dir', '')}`,
    );
  }
  if (settings.providerFiles.includes(CONFIG_FILE)) {
    wrong(
      `a provider file is called ${CONFIG_FILE} too, and one ConfigMap holds both`,
      'give the provider file another name',
    );
  }
  const folder = socketMount(config);
  if (SHARED_FOLDERS.some((shared) => shared === folder)) {
    wrong(
      `socket.path would need a volume at ${folder}, which hides everything else in it`,
      'put the socket in a folder of its own in a folder for the volume: /run/secret-resolver/socket/resolver.sock',
    );
  }
  return issues;
}

function userIssues({ stream, template, pod, roles, config, settings }: Situation): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const at = (path: Path, message: string, hint: string) =>
    issues.push(stream.issueAt(template.document, [...template.path, 'spec', ...path], message, hint));
  const reserved = RESERVED_UIDS.get(settings.uid);
  const taken =
    reserved ??
    (settings.uid === config.agent.uid
      ? "the agent's UID in the configuration"
      : config.callers.find(({ uid }) => uid === settings.uid) && "a caller's UID in the configuration");
  if (taken !== undefined) {
    issues.push(
      wholeFile(
        config.file,
        `the resolver cannot run as UID ${settings.uid}: it is ${taken}`,
        'choose another --uid',
      ),
    );
  }
  for (const [field, entries] of [
    ['boundary.trusted', config.boundary.trusted],
    ['callers', config.callers],
  ] as const) {
    entries.forEach(({ uid, exe }, index) => {
      if (exe === undefined || uid === settings.uid) return;
      issues.push(
        wholeFile(
          config.file,
          `${field}[${index}].exe never matches: the resolver cannot read the program of UID ${uid}, only of its own`,
          'remove exe',
        ),
      );
    });
  }
  const agent = pod.containers.find(({ name }) => name === roles.agent);
  if (agent !== undefined && config.agent === NO_AGENT) {
    at(
      agent.path,
      `the pod has the agent ${agent.name}, and ${config.file} says agent: {present: false}`,
      'write its uid and gid there, or inject with --no-agent',
    );
  } else if (agent?.uid !== undefined && agent.uid !== config.agent.uid) {
    at(
      [...agent.path, 'securityContext', 'runAsUser'],
      `the agent ${agent.name} runs as UID ${agent.uid}, and the boundary in the configuration is against UID ${config.agent.uid}`,
      `write agent: {uid: ${agent.uid}} in ${config.file}, or change runAsUser`,
    );
  }
  for (const supervisor of pod.containers.filter(({ name }) => roles.supervisors.includes(name))) {
    const { uid, gid } = supervisor;
    if (uid === undefined) continue;
    const listed = config.callers.filter((caller) => caller.uid === uid);
    if (listed.some((caller) => caller.gid === undefined || gid === undefined || caller.gid === gid))
      continue;
    const who = `UID ${uid}${gid === undefined ? '' : ` and GID ${gid}`}`;
    at(
      [...supervisor.path, 'securityContext', listed.length === 0 ? 'runAsUser' : 'runAsGroup'],
      `the supervisor ${supervisor.name} runs as ${who}, and callers does not list it: it would be refused`,
      `add {name: ${supervisor.name}, uid: ${uid}, providers: ["*"]} to callers in ${config.file}`,
    );
  }
  return issues;
}

/** A path can be mounted once in a container. */
function mountIssues({ stream, template, pod, roles, config }: Situation): ConfigIssue[] {
  const folder = socketMount(config);
  return pod.containers
    .filter(({ name }) => roles.supervisors.includes(name))
    .flatMap((supervisor) =>
      supervisor.mounts
        .filter(({ mountPath }) => mountPath === folder)
        .map((mount) =>
          stream.issueAt(
            template.document,
            [...template.path, 'spec', ...mount.path],
            `the supervisor ${supervisor.name} has something else mounted at ${folder}, where the socket belongs`,
            'mount that elsewhere, or change socket.path in the configuration',
          ),
        ),
    );
}

/**
 * connect() needs write permission on the socket. The list of callers decides who is served, but a supervisor that
 * the modes keep out never gets that far, and would show only as a pod that does not work.
 */
function socketIssues({ stream, template, pod, roles, config, settings }: Situation): ConfigIssue[] {
  const { mode, gid } = config.socket;
  const group = gid ?? settings.uid;
  if (gid !== undefined && gid !== settings.uid && !pod.groups.includes(gid)) {
    return [
      wholeFile(
        config.file,
        `socket.gid is ${gid}, which is not a group of the resolver in this pod`,
        `write securityContext.fsGroup: ${gid} for the pod, or leave socket.gid out`,
      ),
    ];
  }
  const added = addsEnvoy(roles) ? egressContainers(config, settings) : [];
  const containers = [
    ...pod.containers,
    ...readPod({ initContainers: added }).containers.map((each) => ({ ...each, path: ['initContainers'] })),
  ];
  const shutOut = containers.filter((container) => {
    if (!roles.supervisors.includes(container.name) || (mode & 0o002) !== 0) return false;
    const inGroup = container.gid === group || pod.groups.includes(group);
    const passesModes =
      container.uid === 0 && (!container.dropsAll || container.addedCapabilities.includes('DAC_OVERRIDE'));
    return !passesModes && !(inGroup && (mode & 0o020) !== 0);
  });
  return shutOut.map((supervisor) =>
    stream.issueAt(
      template.document,
      [...template.path, 'spec', ...supervisor.path],
      `the supervisor ${supervisor.name} could not connect: the socket has mode 0${mode.toString(8)} and group ${group}`,
      'write socket: {mode: "0666"}: the list of callers is the fence, and no other container mounts the folder; or a socket.gid that the supervisor has',
    ),
  );
}
