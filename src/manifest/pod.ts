/** A pod spec as inject and lint see it: containers in the order in which they start, volumes, effective users. */
import { posix } from 'node:path';
import { asList, asMap, asNumber, asText, type Data, type Path } from './data.ts';
import { RESOLVER, SELF_TESTS } from './names.ts';

interface Mount {
  readonly volume: string;
  readonly mountPath: string;
  readonly readOnly: boolean;
  readonly subPath: boolean;
  readonly path: Path;
}

export interface Container {
  readonly name: string;
  readonly data: Data;
  /** Relative to the pod spec. */
  readonly path: Path;
  /** `init` ends before the next container starts; a `sidecar` is an init container that keeps running. */
  readonly phase: 'init' | 'sidecar' | 'main';
  /** Added to the running pod, by `kubectl debug` for one. */
  readonly ephemeral: boolean;
  readonly mounts: readonly Mount[];
  /** The UID that the manifest gives it; undefined where the image decides. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly addedCapabilities: readonly string[];
  readonly dropsAll: boolean;
  readonly privileged: boolean;
}

export interface Volume {
  readonly name: string;
  readonly data: Data;
  readonly path: Path;
  /** Secrets that it holds, with the path of the source. */
  readonly secrets: readonly VolumeSecret[];
}

export interface VolumeSecret {
  readonly name: string;
  readonly source: Data;
  readonly path: Path;
  readonly defaultMode: number | undefined;
}

export interface Pod {
  readonly spec: Data;
  /** Init containers in their order, then the main ones, then the ephemeral ones. */
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly resolver: Container | undefined;
  readonly selfTest: Container | undefined;
  readonly fsGroup: number | undefined;
  /** Groups that every container has beside its own. */
  readonly groups: readonly number[];
}

export function readPod(spec: Data): Pod {
  const security = asMap(spec.securityContext);
  const containers = (['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((list) =>
    asList(spec[list]).map((data, index) => readContainer(asMap(data), [list, index], security)),
  );
  return {
    spec,
    containers,
    volumes: asList(spec.volumes).map((data, index) => readVolume(asMap(data), ['volumes', index])),
    resolver: containers.find(({ name }) => name === RESOLVER),
    // Anywhere else, or kept running, it holds no container back.
    selfTest: containers.find(({ name, phase }) => SELF_TESTS.includes(name) && phase === 'init'),
    fsGroup: asNumber(security.fsGroup),
    groups: [security.fsGroup, ...asList(security.supplementalGroups)].flatMap(
      (group) => asNumber(group) ?? [],
    ),
  };
}

function readContainer(data: Data, path: Path, podSecurity: Data): Container {
  const security = asMap(data.securityContext);
  const capabilities = asMap(security.capabilities);
  return {
    name: asText(data.name) ?? '',
    data,
    path,
    phase: path[0] !== 'initContainers' ? 'main' : data.restartPolicy === 'Always' ? 'sidecar' : 'init',
    ephemeral: path[0] === 'ephemeralContainers',
    mounts: asList(data.volumeMounts).map((value, index) => {
      const mount = asMap(value);
      return {
        volume: asText(mount.name) ?? '',
        // As runtimes read it: from the root, with each `..` taken out.
        mountPath: posix.resolve('/', asText(mount.mountPath) ?? ''),
        readOnly: mount.readOnly === true,
        subPath: Boolean(mount.subPath) || Boolean(mount.subPathExpr),
        path: [...path, 'volumeMounts', index],
      };
    }),
    uid: asNumber(security.runAsUser) ?? asNumber(podSecurity.runAsUser),
    gid: asNumber(security.runAsGroup) ?? asNumber(podSecurity.runAsGroup),
    addedCapabilities: asList(capabilities.add).map(capabilityName),
    dropsAll: asList(capabilities.drop).map(capabilityName).includes('ALL'),
    privileged: security.privileged === true,
  };
}

/** `SYS_PTRACE` for each of `SYS_PTRACE`, `sys_ptrace` and `CAP_SYS_PTRACE`, all of which runtimes take. */
function capabilityName(value: unknown): string {
  return (asText(value) ?? '').toUpperCase().replace(/^CAP_/, '');
}

function readVolume(data: Data, path: Path): Volume {
  const secret = asMap(data.secret);
  const own = {
    name: asText(secret.secretName),
    source: secret,
    path: [...path, 'secret'],
    defaultMode: asNumber(secret.defaultMode),
  };
  const projected = asMap(data.projected);
  const others = asList(projected.sources).map((value, index) => {
    const source = asMap(asMap(value).secret);
    return {
      name: asText(source.name),
      source,
      path: [...path, 'projected', 'sources', index, 'secret'],
      defaultMode: asNumber(projected.defaultMode),
    };
  });
  const secrets = [own, ...others].flatMap(({ name, ...rest }) =>
    name === undefined ? [] : [{ name, ...rest }],
  );
  return { name: asText(data.name) ?? '', data, path, secrets };
}

/** Probes of a container. */
export const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

/** Ports that a container says it listens on: those it declares, and those that its probes ask. Paths as those of containers. */
export function listensOn({ data, path }: Container): { port: number; protocol: unknown; path: Path }[] {
  const declared = asList(data.ports).map((value, index) => {
    const { containerPort, protocol } = asMap(value);
    return { port: containerPort, protocol: protocol ?? 'TCP', path: ['ports', index, 'containerPort'] };
  });
  const probed = PROBES.flatMap((probe) =>
    ['httpGet', 'tcpSocket', 'grpc'].flatMap((action) => {
      const { port, host } = asMap(asMap(data[probe])[action]);
      return host ? [] : [{ port, protocol: 'TCP', path: [probe, action, 'port'] }];
    }),
  );
  return [...declared, ...probed].flatMap(({ port, protocol, path: field }) =>
    typeof port === 'number' ? [{ port, protocol, path: [...path, ...field] }] : [],
  );
}

/** Volumes that a container mounts. */
export function mountedVolumes(pod: Pod, container: Container): Volume[] {
  return pod.volumes.filter(({ name }) => container.mounts.some((mount) => mount.volume === name));
}

/** Names of the Secrets that the resolver reads. */
export function resolverSecrets(pod: Pod): ReadonlySet<string> {
  if (pod.resolver === undefined) return new Set();
  return new Set(mountedVolumes(pod, pod.resolver).flatMap(({ secrets }) => secrets.map(({ name }) => name)));
}

/** Whether the container runs at some time while the resolver runs. */
export function runsBesideResolver(pod: Pod, container: Container): boolean {
  if (pod.resolver === undefined || container === pod.resolver) return false;
  if (container.phase !== 'init') return true;
  return pod.containers.indexOf(container) > pod.containers.indexOf(pod.resolver);
}

/** Without a slash at the end and without doubled ones, so that two spellings of a folder compare equal. */
export function normalPath(path: string): string {
  return posix.normalize(path).replace(/(?<=.)\/$/, '');
}

/** Whether `inner` is `outer` or below it. */
export function isWithin(inner: string, outer: string): boolean {
  return inner === outer || outer === '/' || inner.startsWith(`${outer}/`);
}
