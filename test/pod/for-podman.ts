/**
 * What is changed in a manifest that `secret-resolver inject` wrote, so that podman 4 can play it. These edits are
 * all; none takes away a check or a right of the agent.
 *
 * | inject wrote                         | podman gets                          | because                                        |
 * | ------------------------------------ | ------------------------------------ | ---------------------------------------------- |
 * | a native sidecar                     | a container, started first           | podman knows no restartPolicy of a container   |
 * | httpGet probes                       | none; the test asks, as kubelet does | podman would need curl in the image            |
 * | the self-test, an init container         | the same, kept when it has ended     | podman removes it, and its log with it         |
 * | a Secret volume                      | a tmpfs of the host, read-only       | podman would copy the Secret to its disk, once |
 * | the projected configuration          | a folder of the host, read-only      | podman knows no projected volumes              |
 * | an emptyDir in memory, 0777          | a tmpfs of the host, 0777            | podman would give it to a container's user     |
 * | fields of the pod in the environment | their values                         | podman knows some of the fields only           |
 * | the ports of health and metrics      | none; the pod has loopback only      | podman would open them on the host             |
 * | inject's note to itself              | none                                 | podman takes annotations of 63 bytes at most   |
 */
import { parse } from 'yaml';
import type { SecretVolume } from '../support/secret-volume.ts';

/** Folders of the host that stand for the volumes which kubelet would make. */
export interface HostVolumes {
  /** Volume of each Secret, by the Secret's name. */
  readonly secrets: ReadonlyMap<string, Pick<SecretVolume, 'directory'>>;
  /** The configuration as the ConfigMaps would show it. */
  readonly config: string;
  /** A tmpfs that anybody may write to for each emptyDir, by the volume's name. */
  readonly emptyDirs: ReadonlyMap<string, string>;
}

interface Container {
  readonly name: string;
  restartPolicy?: string;
  startupProbe?: object;
  readinessProbe?: object;
  livenessProbe?: object;
  ports?: object[];
  env?: { name: string; value?: string; valueFrom?: { fieldRef: { fieldPath: string } } }[];
}

interface Volume {
  readonly name: string;
  readonly secret?: { readonly secretName: string };
  readonly projected?: object;
  readonly emptyDir?: object;
}

export interface PodManifest {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    annotations: Record<string, string>;
  };
  readonly spec: { initContainers: Container[]; containers: Container[]; volumes: Volume[] };
}

/** The UID that the API server would have given the pod. */
export const POD_UID = '6f1c0a52-6d0f-4c39-9a0e-5d7f3b1c2a10';

/** Makes the edits that the table above lists. */
export function forPodman(injected: string, host: HostVolumes): PodManifest {
  const pod = parse(injected) as PodManifest;
  const { metadata, spec } = pod;
  const sidecars = spec.initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always');
  spec.initContainers = spec.initContainers.filter((container) => !sidecars.includes(container));
  spec.containers = [...sidecars, ...spec.containers];
  const fields: Record<string, string> = {
    'metadata.uid': POD_UID,
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
  };
  for (const container of sidecars) {
    delete container.restartPolicy;
    delete container.startupProbe;
    delete container.readinessProbe;
    delete container.livenessProbe;
    delete container.ports;
    container.env = (container.env ?? []).map(({ name, value, valueFrom }) => ({
      name,
      value: value ?? fields[valueFrom?.fieldRef.fieldPath ?? ''] ?? '',
    }));
  }
  metadata.annotations = { 'io.podman.annotations.init.container.type': 'always' };
  spec.volumes = spec.volumes.map((volume) => {
    const path =
      volume.secret !== undefined
        ? host.secrets.get(volume.secret.secretName)?.directory
        : volume.projected !== undefined
          ? host.config
          : volume.emptyDir !== undefined
            ? host.emptyDirs.get(volume.name)
            : undefined;
    return path === undefined ? volume : { name: volume.name, hostPath: { path, type: 'Directory' } };
  });
  return pod;
}
