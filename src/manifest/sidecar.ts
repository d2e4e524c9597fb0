/** The containers and volumes that inject adds, as plain data. */
import { posix } from 'node:path';
import { type Config, referencedSecrets, secretId } from '../config/config.ts';
import { changeResources, RESOLVER_RESOURCES, SELF_TEST_RESOURCES } from '../domain/container-resources.ts';
import type { Addition } from './additions.ts';
import { asList, asMap, type Data, type Path } from './data.ts';
import { addsEnvoy, agentVariables, caMount, egressContainers, egressVolumes } from './egress.ts';
import type { PodTemplate } from './kinds.ts';
import {
  CONFIG_FILE,
  CONFIG_MOUNT,
  CONFIG_VOLUME,
  Label,
  RESOLVER,
  SELF_TEST,
  SOCKET_VOLUME,
  secretVolumeName,
} from './names.ts';
import {
  CONFIG_PATH,
  CONFIG_VOLUME_MOUNT,
  isLoopback,
  restricted,
  sandboxEnvironment,
  socketMount,
  supervisorMount,
} from './parts.ts';
import type { Container, Pod } from './pod.ts';
import type { Roles } from './roles.ts';

export const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never'] as const;

/** What the operator chooses on the command line, and the names of the files beside the configuration. */
export interface InjectionSettings {
  readonly image: string;
  /** Image of Envoy, where it is the supervisor. */
  readonly envoyImage: string | undefined;
  readonly imagePullPolicy: (typeof PULL_POLICIES)[number] | undefined;
  readonly imagePullSecrets: readonly string[] | undefined;
  /** Changes to the default resources, as {@link RESOURCES_FORM}. */
  readonly resources: string | undefined;
  readonly selfTestResources: string | undefined;
  /** UID and GID of the resolver. */
  readonly uid: number;
  /** ConfigMap with `config.yaml` and the provider files. */
  readonly configMap: string;
  /** ConfigMap with the profiles. */
  readonly profilesConfigMap: string;
  /** Base names of the provider files and profiles, which are the keys of the ConfigMaps. */
  readonly providerFiles: readonly string[];
  readonly profileFiles: readonly string[];
}

/** Seconds that the start may take before the kubelet gives up: a slow node starting a Node process. */
const STARTUP_SECONDS = 120;
/** Seconds in which a probe must be answered. With 1% of a core, all that a spinning agent may leave, an answer takes up to 1 s. */
const PROBE_TIMEOUT_SECONDS = 5;
/** Probes in a row that fail, one every 10 s, before kubelet restarts the resolver, which cuts every watch and repairs no contention. */
const LIVENESS_FAILURES = 6;

/** All that is added to a pod template but the annotation, whose content depends on the rest. */
export function podAdditions(
  { metadata }: PodTemplate,
  pod: Pod,
  roles: Roles,
  config: Config,
  settings: InjectionSettings,
): Addition[] {
  const agent = pod.containers.find(({ name }) => name === roles.agent);
  const envoy = addsEnvoy(roles);
  const mounts = envoy ? [caMount(config)] : [];
  const supervisors = pod.containers.filter(({ name }) => roles.supervisors.includes(name));
  const pullSecrets = settings.imagePullSecrets ?? [];
  return [
    ...(asMap(metadata.labels)[Label.injected] === undefined
      ? [{ to: ['metadata', 'labels', Label.injected], value: 'true' }]
      : []),
    ...supervisors.map(({ path }) => ({
      to: ['spec', ...path, 'volumeMounts'],
      value: [supervisorMount(config)],
    })),
    ...(agent === undefined
      ? []
      : [
          ...listAddition(['spec', ...agent.path, 'volumeMounts'], mounts),
          ...listAddition(
            ['spec', ...agent.path, 'env'],
            addedVariables(pod, roles, config).map((name) => ({
              name,
              value: agentVariables(config).get(name),
            })),
          ),
        ]),
    {
      to: ['spec', 'initContainers'],
      value: [
        resolverContainer(config, settings),
        ...(envoy ? egressContainers(config, settings) : []),
        ...(agent === undefined ? [] : [selfTestContainer(config, settings, agent, pod, mounts)]),
      ],
    },
    {
      to: ['spec', 'volumes'],
      value: [...podVolumes(config, settings, pod), ...(envoy ? egressVolumes() : [])],
    },
    ...listAddition(
      ['spec', 'imagePullSecrets'],
      pullSecrets.map((name) => ({ name })),
    ),
    ...(pod.spec.automountServiceAccountToken === undefined
      ? [{ to: ['spec', 'automountServiceAccountToken'], value: false }]
      : []),
  ];
}

/** An empty list would be created where there is none. */
function listAddition(to: Path, value: readonly Data[]): Addition[] {
  return value.length === 0 ? [] : [{ to, value }];
}

/** Names of the agent's variables that are added: requirements.ts refuses those that it has and must not differ. */
export function addedVariables(pod: Pod, roles: Roles, config: Config): string[] {
  const agent = pod.containers.find(({ name }) => name === roles.agent);
  if (agent === undefined || !addsEnvoy(roles)) return [];
  const own = asList(agent.data.env).map((entry) => asMap(entry).name);
  return [...agentVariables(config).keys()].filter((name) => !own.includes(name));
}

function resolverContainer(config: Config, settings: InjectionSettings): Data {
  const healthPort = config.health?.listen.port ?? 0;
  const probe = (path: string, rest: Data): Data => ({
    httpGet: { path, port: healthPort },
    timeoutSeconds: PROBE_TIMEOUT_SECONDS,
    ...rest,
  });
  const metrics =
    config.metrics === undefined || isLoopback(config.metrics.listen.host) ? undefined : config.metrics;
  return {
    name: RESOLVER,
    image: settings.image,
    ...(settings.imagePullPolicy === undefined ? {} : { imagePullPolicy: settings.imagePullPolicy }),
    args: ['serve', '--config', CONFIG_PATH],
    // What makes it a native sidecar: it starts before the main containers and ends after them.
    restartPolicy: 'Always',
    env: [
      // For commands by `kubectl exec`.
      { name: 'SECRET_RESOLVER_CONFIG', value: CONFIG_PATH },
      ...sandboxEnvironment(),
    ],
    ports: [
      { name: 'secret-health', containerPort: healthPort },
      ...(metrics === undefined ? [] : [{ name: 'secret-metrics', containerPort: metrics.listen.port }]),
    ],
    startupProbe: probe('/readyz', { periodSeconds: 1, failureThreshold: STARTUP_SECONDS }),
    readinessProbe: probe('/readyz', { periodSeconds: 5 }),
    // Not /readyz: a refused credential makes it not ready, and a restart would repair nothing.
    livenessProbe: probe('/livez', { periodSeconds: 10, failureThreshold: LIVENESS_FAILURES }),
    resources: changeResources(RESOLVER_RESOURCES, settings.resources ?? '') ?? RESOLVER_RESOURCES,
    securityContext: restricted(settings.uid),
    volumeMounts: [
      CONFIG_VOLUME_MOUNT,
      { name: SOCKET_VOLUME, mountPath: socketMount(config) },
      ...referencedSecrets(config).map((secret) => ({
        name: secretVolumeName(secret.name),
        mountPath: posix.join(config.secretsRoot, secretId(secret)),
        readOnly: true,
      })),
    ],
  };
}

/**
 * The self-test: our image under the agent's own security context with the agent's own mounts, so that what it cannot
 * reach the agent cannot reach either.
 */
function selfTestContainer(
  config: Config,
  settings: InjectionSettings,
  agent: Container,
  pod: Pod,
  added: readonly Data[],
): Data {
  const security = asMap(agent.data.securityContext);
  const mounts = [...asList(agent.data.volumeMounts), ...added];
  return {
    name: SELF_TEST,
    image: settings.image,
    ...(settings.imagePullPolicy === undefined ? {} : { imagePullPolicy: settings.imagePullPolicy }),
    args: selfTestArguments(config, settings, agent, pod),
    resources: changeResources(SELF_TEST_RESOURCES, settings.selfTestResources ?? '') ?? SELF_TEST_RESOURCES,
    ...(agent.data.securityContext === undefined ? {} : { securityContext: security }),
    ...(mounts.length === 0 ? {} : { volumeMounts: mounts }),
  };
}

function selfTestArguments(
  config: Config,
  settings: InjectionSettings,
  agent: Container,
  pod: Pod,
): string[] {
  return [
    'self-test',
    ...['--socket', config.socket.path],
    ...['--secrets-root', config.secretsRoot],
    ...['--resolver-uid', String(settings.uid)],
    ...referencedSecrets(config).flatMap((secret) => ['--secret', secretId(secret)]),
    // Secrets that the agent is meant to have, such as a token for its work, but none that the resolver serves:
    // overruling the lint rule about that must not switch off the self-test.
    ...agent.mounts
      .filter(({ volume }) => isOwnSecret(pod, volume, config))
      .flatMap(({ mountPath }) => ['--allow-mount', mountPath]),
  ];
}

/** Whether a volume is one that kubelet keeps on tmpfs, with no Secret in it that the resolver serves. */
function isOwnSecret(pod: Pod, name: string, config: Config): boolean {
  const volume = pod.volumes.find((candidate) => candidate.name === name);
  if (volume === undefined) return false;
  if (volume.data.secret === undefined && volume.data.projected === undefined) return false;
  const served = referencedSecrets(config);
  return !volume.secrets.some((shown) => served.some((secret) => secret.name === shown.name));
}

/** Volumes of the pod; the Secrets' modes follow from how kubelet applies fsGroup. */
function podVolumes(config: Config, settings: InjectionSettings, pod: Pod): Data[] {
  return [
    configVolume(config, settings),
    // In memory: what a socket's folder holds must not reach a disk, and the size keeps a filler out of the node's.
    { name: SOCKET_VOLUME, emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    ...referencedSecrets(config).map((secret) => ({
      name: secretVolumeName(secret.name),
      secret: {
        secretName: secret.name,
        // No `items`: a key that is taken away would then fail the update, and the old files would stay.
        // With fsGroup kubelet gives the files that group and 0440; without it only "others" includes our UID.
        defaultMode: pod.fsGroup === undefined ? 0o444 : 0o440,
        // A missing Secret holds the pod back. An optional one would be an empty folder, and a typo a mystery.
        optional: false,
      },
    })),
  ];
}

/** One projected volume, so that configuration, providers and profiles change in one atomic write. */
function configVolume(config: Config, settings: InjectionSettings): Data {
  const below = (folder: string, file: string) => posix.join(posix.relative(CONFIG_MOUNT, folder), file);
  const { profilesDir } = config;
  return {
    name: CONFIG_VOLUME,
    projected: {
      defaultMode: 0o444,
      sources: [
        {
          configMap: {
            name: settings.configMap,
            items: [
              { key: CONFIG_FILE, path: CONFIG_FILE },
              ...settings.providerFiles.map((file) => ({
                key: file,
                path: below(config.providersDir, file),
              })),
            ],
          },
        },
        ...(profilesDir === undefined || settings.profileFiles.length === 0
          ? []
          : [
              {
                configMap: {
                  name: settings.profilesConfigMap,
                  items: settings.profileFiles.map((file) => ({ key: file, path: below(profilesDir, file) })),
                },
              },
            ]),
      ],
    },
  };
}
