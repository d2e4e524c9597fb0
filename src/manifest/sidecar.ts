/** The containers and volumes that inject adds, as plain data. */
import { posix } from 'node:path';
import { type Config, referencedSecrets, secretId, socketPaths } from '../config/config.ts';
import { changeResources, RESOLVER_RESOURCES, SELF_TEST_RESOURCES } from '../domain/container-resources.ts';
import { sourceOf, volumeDirectory } from '../sources/index.ts';
import type { Addition } from './additions.ts';
import { asList, asMap, type Data } from './data.ts';
import { addsEnvoy, agentVariables, caMount, egressContainers, egressVolumes } from './egress.ts';
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
  pulled,
  restricted,
  sandboxEnvironment,
  socketMount,
  supervisorMount,
} from './parts.ts';
import type { Container, Pod } from './pod.ts';
import { agentOf, type InjectionSettings, type Situation } from './situation.ts';

/** Seconds that the start may take before the kubelet gives up: a slow node starting a Node process. */
const STARTUP_SECONDS = 120;
/** Seconds in which a probe must be answered. With 1% of a core, all that a spinning agent may leave, an answer takes up to 1 s. */
const PROBE_TIMEOUT_SECONDS = 5;
/** Probes in a row that fail, one every 10 s, before kubelet restarts the resolver, which cuts every watch and repairs no contention. */
const LIVENESS_FAILURES = 6;

/** All that is added to a pod template but the annotation, whose content depends on the rest. */
export function podAdditions(situation: Situation): Addition[] {
  const { template, pod, roles, config, settings } = situation;
  const agent = agentOf(situation);
  const envoy = addsEnvoy(roles);
  const mounts = envoy ? [caMount(config)] : [];
  const variables = agentVariables(config);
  const supervisors = pod.containers.filter(({ name }) => roles.supervisors.includes(name));
  const additions: Addition[] = [
    ...(asMap(template.metadata.labels)[Label.injected] === undefined
      ? [{ to: ['metadata', 'labels', Label.injected], value: 'true' }]
      : []),
    ...supervisors.map(({ path }) => ({
      to: ['spec', ...path, 'volumeMounts'],
      value: [supervisorMount(config)],
    })),
    ...(agent === undefined
      ? []
      : [
          { to: ['spec', ...agent.path, 'volumeMounts'], value: mounts },
          {
            to: ['spec', ...agent.path, 'env'],
            value: addedVariables(situation).map((name) => ({ name, value: variables.get(name) })),
          },
        ]),
    {
      to: ['spec', 'initContainers'],
      value: [
        resolverContainer(config, settings),
        ...(envoy ? egressContainers(config, settings) : []),
        ...(agent === undefined ? [] : [selfTestContainer(situation, agent, mounts)]),
      ],
    },
    {
      to: ['spec', 'volumes'],
      value: [...podVolumes(config, settings, pod), ...(envoy ? egressVolumes() : [])],
    },
    {
      to: ['spec', 'imagePullSecrets'],
      value: (settings.imagePullSecrets ?? []).map((name) => ({ name })),
    },
    ...(pod.spec.automountServiceAccountToken === undefined
      ? [{ to: ['spec', 'automountServiceAccountToken'], value: false }]
      : []),
  ];
  // An empty list would be created where there is none.
  return additions.filter(({ value }) => !Array.isArray(value) || value.length > 0);
}

/** Names of the agent's variables that are added: requirements.ts refuses those that it has and must not differ. */
export function addedVariables(situation: Situation): string[] {
  const { roles, config } = situation;
  const agent = agentOf(situation);
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
    ...pulled(settings.image, settings),
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
        mountPath: volumeDirectory(config, secret),
        readOnly: true,
      })),
    ],
  };
}

/**
 * The self-test: our image under the agent's own security context with the agent's own mounts, so that what it cannot
 * reach the agent cannot reach either.
 */
function selfTestContainer(situation: Situation, agent: Container, added: readonly Data[]): Data {
  const { settings } = situation;
  const { securityContext, volumeMounts } = agent.data;
  const mounts = [...asList(volumeMounts), ...added];
  return {
    name: SELF_TEST,
    ...pulled(settings.image, settings),
    args: selfTestArguments(situation, agent),
    resources: changeResources(SELF_TEST_RESOURCES, settings.selfTestResources ?? '') ?? SELF_TEST_RESOURCES,
    ...(securityContext === undefined ? {} : { securityContext: asMap(securityContext) }),
    ...(mounts.length === 0 ? {} : { volumeMounts: mounts }),
  };
}

function selfTestArguments({ pod, config, settings }: Situation, agent: Container): string[] {
  const served = referencedSecrets(config);
  // Secrets that the agent is meant to have, such as a token for its work, but none that the resolver serves:
  // overruling the lint rule about that must not switch off the self-test. Kubelet keeps them on tmpfs.
  const ownVolumes = pod.volumes
    .filter(({ data }) => data.secret !== undefined || data.projected !== undefined)
    .filter(({ secrets }) => !secrets.some((shown) => served.some(({ name }) => name === shown.name)))
    .map(({ name }) => name);
  return [
    'self-test',
    ...socketPaths(config).flatMap((path) => ['--socket', path]),
    ...['--secrets-root', config.secretsRoot],
    ...['--resolver-uid', String(settings.uid)],
    ...served.flatMap((secret) => ['--secret', secretId(secret)]),
    ...agent.mounts
      .filter(({ volume }) => ownVolumes.includes(volume))
      .flatMap(({ mountPath }) => ['--allow-mount', mountPath]),
  ];
}

/** Volumes of the pod; the Secrets' modes follow from how kubelet applies fsGroup. */
function podVolumes(config: Config, settings: InjectionSettings, pod: Pod): Data[] {
  return [
    configVolume(config, settings),
    // In memory: what a socket's folder holds must not reach a disk, and the size keeps a filler out of the node's.
    { name: SOCKET_VOLUME, emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    ...referencedSecrets(config).map((secret) => ({
      name: secretVolumeName(secret.name),
      ...sourceOf(secret).podVolume(secret, pod.fsGroup !== undefined),
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
