/** The pod that the pod test injects into, with its configuration and all that it needs on the host. */
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { stringify } from 'yaml';
import { ThrowAwayAuthority } from '../../src/egress/authority.ts';
import { SOCKET_VOLUME } from '../../src/manifest/names.ts';
import { NODE_IN_IMAGE, RESOLVER_IMAGE } from '../support/images.ts';
import type { Podman } from '../support/podman.ts';
import { SecretVolume } from '../support/secret-volume.ts';
import type { HostVolumes } from './for-podman.ts';

export const TOOLBOX = 'localhost/toolbox:test';
export const NAMESPACE = 'tenant-a';
export const SECRET = 'gitlab';
export const HEALTH_PORT = 8086;
export const METRICS_PORT = 9090;
/** Where the service called gitlab.example.com listens in the pod. */
const UPSTREAM_PORT = 8443;

/** Each party's UID; the resolver's is the image's. */
const UID = { agent: 1000, supervisor: 1337, upstream: 2000 };

const CONFIG = {
  profilesDir: '/etc/secret-resolver/profiles',
  secretsRoot: '/var/lib/secret-resolver/secrets',
  socket: { path: '/run/secret-resolver/socket/resolver.sock', mode: '0666' },
  callers: [{ name: 'supervisor', uid: UID.supervisor, providers: ['*'] }],
  agent: { uid: UID.agent, gid: UID.agent },
  health: { listen: `[::]:${HEALTH_PORT}` },
  metrics: { listen: `[::]:${METRICS_PORT}` },
};
const PROVIDER = {
  provider: {
    name: 'gitlab',
    type: 'gitlab',
    credentials: { GITLAB_TOKEN: { source: { type: 'kubernetesSecret', name: SECRET, key: 'token' } } },
  },
};
const PROFILE = {
  id: 'gitlab',
  credentials: [{ name: 'token', env_vars: ['GITLAB_TOKEN'] }],
  endpoints: [{ host: 'gitlab.example.com', port: 443 }],
};

/** The host's side of one pod. */
export interface AgentPod {
  /** The manifest as its author wrote it. */
  readonly manifest: string;
  /** For `inject --config`. */
  readonly configFile: string;
  readonly volumes: HostVolumes;
  readonly secret: SecretVolume;
  /** Shown to the agent as /work, read-only. */
  readonly work: string;
  /** Key under which the upstream fingerprints what arrives. */
  readonly fingerprintKey: string;
}

/** How a pod differs from the plain one. */
export interface Shape {
  /** The agent mounts the Secret, as by mistake. */
  readonly leaky?: boolean;
  /** One PID namespace for all containers. */
  readonly sharedPid?: boolean;
}

/** The program of the service at the other end. */
export function copyUpstream(folder: string): void {
  for (const file of ['upstream.ts', 'forge.ts']) cpSync(join(import.meta.dirname, file), join(folder, file));
}

/** The demo's proxy as one file. */
async function bundleProxy(file: string): Promise<void> {
  const input = join(import.meta.dirname, '../../examples/demo/supervisor.ts');
  await using bundle = await rolldown({ input, platform: 'node' });
  await bundle.write({ file, format: 'esm', codeSplitting: false });
}

/** Makes the host's side. */
export async function prepareAgentPod(podman: Podman, name: string, shape: Shape = {}): Promise<AgentPod> {
  const folder = (part: string) => {
    const path = join(podman.folder, name, part);
    mkdirSync(path, { recursive: true });
    return path;
  };
  // As the ConfigMaps hold it, and as the projected volume shows it: the same files in the same places.
  const config = folder('config');
  mkdirSync(join(config, 'providers'));
  mkdirSync(join(config, 'profiles'));
  writeFileSync(join(config, 'config.yaml'), stringify(CONFIG));
  writeFileSync(join(config, 'providers/gitlab.yaml'), stringify(PROVIDER));
  writeFileSync(join(config, 'profiles/gitlab.yaml'), stringify(PROFILE));

  const work = folder('work');
  cpSync(join(import.meta.dirname, 'agent.sh'), join(work, 'agent.sh'));
  const proxy = folder('proxy');
  await bundleProxy(join(proxy, 'supervisor.mjs'));
  const upstream = folder('upstream');
  copyUpstream(upstream);
  const authority = await ThrowAwayAuthority.create('authority of the upstream', Date.now());
  const { key, certificate } = await authority.issue('gitlab.example.com');
  writeFileSync(join(upstream, 'key.pem'), key);
  writeFileSync(join(upstream, 'certificate.pem'), certificate);

  const fingerprintKey = randomBytes(16).toString('hex');
  const secret = new SecretVolume(await podman.tmpfs(`${name}-secret`));
  return {
    manifest: stringify(
      podManifest(name, shape, { work, upstream, proxy }, fingerprintKey, authority.certificate),
      {
        lineWidth: 0,
      },
    ),
    configFile: join(config, 'config.yaml'),
    volumes: {
      secrets: new Map([[SECRET, secret]]),
      config,
      emptyDirs: new Map([[SOCKET_VOLUME, await podman.tmpfs(`${name}-socket`, '0777')]]),
    },
    secret,
    work,
    fingerprintKey,
  };
}

function podManifest(
  name: string,
  { leaky = false, sharedPid = false }: Shape,
  folders: { readonly work: string; readonly upstream: string; readonly proxy: string },
  fingerprintKey: string,
  upstreamCa: string,
): object {
  const securityContext = (uid: number) => ({
    runAsUser: uid,
    runAsGroup: uid,
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  });
  const settings = {
    socket: CONFIG.socket.path,
    httpPort: UPSTREAM_PORT,
    httpsPort: UPSTREAM_PORT,
    upstreamCa,
  };
  const leak = { name: 'leak', mountPath: '/leak', readOnly: true };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      restartPolicy: 'Never',
      shareProcessNamespace: sharedPid,
      containers: [
        {
          name: 'agent',
          image: TOOLBOX,
          imagePullPolicy: 'Never',
          command: ['/bin/sh', '/work/agent.sh'],
          securityContext: securityContext(UID.agent),
          volumeMounts: [{ name: 'work', mountPath: '/work', readOnly: true }, ...(leaky ? [leak] : [])],
        },
        {
          name: 'supervisor',
          image: RESOLVER_IMAGE,
          imagePullPolicy: 'Never',
          // The demo's proxy, built on the client library.
          command: [NODE_IN_IMAGE, '/proxy/supervisor.mjs', JSON.stringify(settings)],
          securityContext: securityContext(UID.supervisor),
          volumeMounts: [{ name: 'proxy', mountPath: '/proxy', readOnly: true }],
        },
        {
          name: 'upstream',
          image: TOOLBOX,
          imagePullPolicy: 'Never',
          command: [NODE_IN_IMAGE, '/upstream/upstream.ts', '/upstream', String(UPSTREAM_PORT)],
          env: [{ name: 'FINGERPRINT_KEY', value: fingerprintKey }],
          securityContext: securityContext(UID.upstream),
          volumeMounts: [{ name: 'upstream', mountPath: '/upstream', readOnly: true }],
        },
      ],
      volumes: [
        { name: 'work', hostPath: { path: folders.work, type: 'Directory' } },
        { name: 'upstream', hostPath: { path: folders.upstream, type: 'Directory' } },
        { name: 'proxy', hostPath: { path: folders.proxy, type: 'Directory' } },
        ...(leaky ? [{ name: leak.name, secret: { secretName: SECRET } }] : []),
      ],
    },
  };
}
