/** What the containers that inject adds have in common. */
import { dirname, posix } from 'node:path';
import type { Config } from '../config/config.ts';
import { SANDBOX_ID_SOURCES } from '../domain/sandbox-id.ts';
import type { Data } from './data.ts';
import { CONFIG_FILE, CONFIG_MOUNT, CONFIG_VOLUME, SOCKET_VOLUME } from './names.ts';
import type { InjectionSettings } from './situation.ts';

export const CONFIG_PATH = posix.join(CONFIG_MOUNT, CONFIG_FILE);
export const CONFIG_VOLUME_MOUNT: Data = { name: CONFIG_VOLUME, mountPath: CONFIG_MOUNT, readOnly: true };

/** The image of a container, and the pull policy that the operator chose. */
export function pulled(image: string, { imagePullPolicy }: Pick<InjectionSettings, 'imagePullPolicy'>): Data {
  return imagePullPolicy === undefined ? { image } : { image, imagePullPolicy };
}

/** Folder at which the socket's volume is mounted: the parent of the socket's own folder, which the resolver makes. */
export function socketMount(config: Config): string {
  return dirname(dirname(config.socket.path));
}

/** The supervisor's mount: connect() works through a read-only mount, unlink() does not. */
export function supervisorMount(config: Config): Data {
  return { name: SOCKET_VOLUME, mountPath: socketMount(config), readOnly: true };
}

/** What the configuration takes from the downward API. */
export function sandboxEnvironment(): Data[] {
  const downward = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return [
    ...SANDBOX_ID_SOURCES.map(({ variable, fieldPath }) => downward(variable, fieldPath)),
    downward('SECRET_RESOLVER_SANDBOX_NAME', 'metadata.name'),
    downward('SECRET_RESOLVER_SANDBOX_NAMESPACE', 'metadata.namespace'),
  ];
}

/** What Pod Security calls restricted. */
export function restricted(uid: number, gid = uid): Data {
  return {
    runAsNonRoot: true,
    runAsUser: uid,
    runAsGroup: gid,
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

export function isLoopback(host: string): boolean {
  return host === '::1' || host === 'localhost' || host.startsWith('127.');
}
