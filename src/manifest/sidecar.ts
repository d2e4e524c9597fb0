/** The containers and volumes that inject adds, as plain data. */
import { dirname, posix } from 'node:path';
import { type Config, referencedSecrets, secretId } from '../config/config.ts';
import { asList, asMap, type Data } from './data.ts';
import {
  CONFIG_FILE,
  CONFIG_MOUNT,
  CONFIG_VOLUME,
  PROBE,
  RESOLVER,
  SOCKET_VOLUME,
  secretVolumeName,
} from './names.ts';
import type { Container, Pod } from './pod.ts';

/** What the operator chooses on the command line, and the names of the files beside the configuration. */
export interface InjectionSettings {
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never' | undefined;
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
/**
 * What serving needs beside a container that spins on every core: a call then takes 16 ms (p99). With 10m it takes up to 0.9 s.
 * At rest the resolver uses 1m.
 */
const CPU_REQUEST = '100m';

/** Folder at which the socket's volume is mounted: the parent of the socket's own folder, which the resolver makes. */
export function socketMount(config: Config): string {
  return dirname(dirname(config.socket.path));
}

export function resolverContainer(config: Config, settings: InjectionSettings): Data {
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
    args: ['serve', '--config', posix.join(CONFIG_MOUNT, CONFIG_FILE)],
    // What makes it a native sidecar: it starts before the main containers and ends after them.
    restartPolicy: 'Always',
    env: [
      downward('SECRET_RESOLVER_SANDBOX_ID', 'metadata.uid'),
      downward('SECRET_RESOLVER_SANDBOX_NAME', 'metadata.name'),
      downward('SECRET_RESOLVER_SANDBOX_NAMESPACE', 'metadata.namespace'),
    ],
    ports: [
      { name: 'secret-health', containerPort: healthPort },
      ...(metrics === undefined ? [] : [{ name: 'secret-metrics', containerPort: metrics.listen.port }]),
    ],
    startupProbe: probe('/readyz', { periodSeconds: 1, failureThreshold: STARTUP_SECONDS }),
    readinessProbe: probe('/readyz', { periodSeconds: 5 }),
    // Not /readyz: a refused credential makes it not ready, and a restart would repair nothing.
    livenessProbe: probe('/livez', { periodSeconds: 10, failureThreshold: LIVENESS_FAILURES }),
    resources: {
      requests: { cpu: CPU_REQUEST, memory: '96Mi' },
      limits: { memory: '256Mi' },
    },
    securityContext: {
      runAsNonRoot: true,
      runAsUser: settings.uid,
      runAsGroup: settings.uid,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [
      { name: CONFIG_VOLUME, mountPath: CONFIG_MOUNT, readOnly: true },
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
 * The probe: our image under the agent's own security context with the agent's own mounts, so that what it cannot
 * reach the agent cannot reach either. Where agent and supervisor share a container the context is the
 * supervisor's, so the UID and the absence of capabilities are those that the supervisor gives its child.
 */
export function probeContainer(
  config: Config,
  settings: InjectionSettings,
  agent: Container,
  pod: Pod,
  combined: boolean,
): Data {
  const security = asMap(agent.data.securityContext);
  const mounts = asList(agent.data.volumeMounts);
  return {
    name: PROBE,
    image: settings.image,
    ...(settings.imagePullPolicy === undefined ? {} : { imagePullPolicy: settings.imagePullPolicy }),
    args: probeArguments(config, settings, agent, pod),
    resources: {
      requests: { cpu: '10m', memory: '64Mi' },
      limits: { memory: '256Mi' },
    },
    ...(combined
      ? { securityContext: combinedSecurity(config) }
      : agent.data.securityContext === undefined
        ? {}
        : { securityContext: security }),
    ...(mounts.length === 0 ? {} : { volumeMounts: mounts }),
  };
}

function probeArguments(config: Config, settings: InjectionSettings, agent: Container, pod: Pod): string[] {
  return [
    'probe',
    ...['--socket', config.socket.path],
    ...['--secrets-root', config.secretsRoot],
    ...['--resolver-uid', String(settings.uid)],
    ...referencedSecrets(config).flatMap((secret) => ['--secret', secretId(secret)]),
    // Secrets of its own that the agent is meant to have, a token for its work among them. One that the resolver
    // serves is not: whoever overrules the lint rule about it must not switch off the probe with it.
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

function combinedSecurity(config: Config): Data {
  return {
    runAsUser: config.agent.uid,
    runAsGroup: config.agent.gid,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
  };
}

/** Volumes of the pod; the Secrets' modes follow from how kubelet applies fsGroup. */
export function podVolumes(config: Config, settings: InjectionSettings, pod: Pod): Data[] {
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

/** The supervisor's mount: connect() works through a read-only mount, unlink() does not. */
export function supervisorMount(config: Config): Data {
  return { name: SOCKET_VOLUME, mountPath: socketMount(config), readOnly: true };
}

export function isLoopback(host: string): boolean {
  return host === '::1' || host === 'localhost' || host.startsWith('127.');
}

function downward(name: string, fieldPath: string): Data {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
