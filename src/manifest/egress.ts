/** What inject adds where a stock Envoy is the supervisor: the kit, Envoy, and what the agent needs to go through them. */
import { posix } from 'node:path';
import { PLACEHOLDER_PREFIX } from '../client/placeholder.ts';
import { type BulkSource, type Caller, type Config, type Provider, takesKey } from '../config/config.ts';
import { EGRESS_RESOURCES, ENVOY_RESOURCES } from '../domain/container-resources.ts';
import { nameFault } from '../snapshot/names.ts';
import type { Data } from './data.ts';
import { CA_VOLUME, EGRESS, EGRESS_VOLUME, ENVOY } from './names.ts';
import {
  CONFIG_PATH,
  CONFIG_VOLUME_MOUNT,
  pulled,
  restricted,
  sandboxEnvironment,
  supervisorMount,
} from './parts.ts';
import type { Roles } from './roles.ts';
import type { InjectionSettings } from './situation.ts';

/** Distroless: it has no shell. */
export const DEFAULT_ENVOY_IMAGE = 'docker.io/envoyproxy/envoy:distroless-v1.40.0';

/** The command in the resolver's image, for probes. Its entry point only starts `serve`. */
export const IMAGE_COMMAND = '/usr/local/bin/secret-resolver';
/** Seconds that the kit may take to start, on a node whose other pods start at the same time. */
const STARTUP_SECONDS = 120;
const PROBE_TIMEOUT_SECONDS = 5;

/** Variables of the agent by which programs go through the proxy. */
const PROXY = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'] as const;
const NO_PROXY = ['NO_PROXY', 'no_proxy'] as const;
/**
 * Variables that name the CA: OpenSSL and Go, curl, git, Node, Python's requests, pip, npm, the AWS SDKs. Java reads no
 * PEM file: its trust store has to be made in the image.
 */
const CA = [
  'SSL_CERT_FILE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'NODE_EXTRA_CA_CERTS',
  'REQUESTS_CA_BUNDLE',
  'PIP_CERT',
  'NPM_CONFIG_CAFILE',
  'AWS_CA_BUNDLE',
] as const;

/** Whether inject adds kit and Envoy: {@link findRoles} names the kit where the pod has none yet. */
export function addsEnvoy({ supervisors }: Roles): boolean {
  return supervisors.includes(EGRESS);
}

/** Whom the kit runs as: the caller of its name, or else the first, but never root. */
export function kitCaller({ callers }: Config): Caller | undefined {
  const others = callers.filter(({ uid }) => uid !== 0);
  return others.find(({ name }) => name === EGRESS) ?? others[0];
}

/** Kit and Envoy, in the order in which they start. */
export function egressContainers(config: Config, settings: InjectionSettings): Data[] {
  const { uid = 0, gid } = kitCaller(config) ?? {};
  const securityContext = restricted(uid, gid);
  const { directory, caDirectory } = config.egress;
  return [
    {
      name: EGRESS,
      ...pulled(settings.image, settings),
      args: [EGRESS, '--config', CONFIG_PATH],
      restartPolicy: 'Always',
      env: sandboxEnvironment(),
      startupProbe: {
        exec: { command: [IMAGE_COMMAND, EGRESS, '--ready', '--config', CONFIG_PATH] },
        timeoutSeconds: PROBE_TIMEOUT_SECONDS,
        periodSeconds: 1,
        failureThreshold: STARTUP_SECONDS,
      },
      resources: EGRESS_RESOURCES,
      securityContext,
      volumeMounts: [
        CONFIG_VOLUME_MOUNT,
        supervisorMount(config),
        { name: EGRESS_VOLUME, mountPath: directory },
        { name: CA_VOLUME, mountPath: caDirectory },
      ],
    },
    {
      name: ENVOY,
      ...pulled(settings.envoyImage ?? DEFAULT_ENVOY_IMAGE, settings),
      args: ['-c', posix.join(directory, 'envoy.yaml'), '--disable-hot-restart'],
      restartPolicy: 'Always',
      resources: ENVOY_RESOURCES,
      securityContext,
      volumeMounts: [{ name: EGRESS_VOLUME, mountPath: directory, readOnly: true }],
    },
  ];
}

/** In memory: the CA's key never touches a disk, and neither does what Envoy is told. */
export function egressVolumes(): Data[] {
  return [
    { name: EGRESS_VOLUME, emptyDir: { medium: 'Memory', sizeLimit: '8Mi' } },
    { name: CA_VOLUME, emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
  ];
}

export function caMount(config: Config): Data {
  return { name: CA_VOLUME, mountPath: config.egress.caDirectory, readOnly: true };
}

/** The agent's variables: placeholders, proxy and CA. None depends on a value, so the pod stays as it is over rotations. */
export function agentVariables(config: Config): ReadonlyMap<string, string> {
  const { host, port } = config.egress.listen;
  const proxy = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const java = ['http', 'https'].map(
    (scheme) => `-D${scheme}.proxyHost=${host} -D${scheme}.proxyPort=${port}`,
  );
  const certificate = posix.join(config.egress.caDirectory, 'ca.crt');
  const pairs = (names: readonly string[], value: string) => names.map((name) => [name, value] as const);
  return new Map([
    ...knownKeys(config).map((key) => [key, PLACEHOLDER_PREFIX + key] as const),
    ...pairs(PROXY, proxy),
    ...pairs(NO_PROXY, 'localhost,127.0.0.1,::1'),
    ...pairs(CA, certificate),
    ['NODE_USE_ENV_PROXY', '1'],
    ['JAVA_TOOL_OPTIONS', java.join(' ')],
  ]);
}

/** Whether the agent may keep a variable of its own in place of ours: it loses a client, and no credential. */
export function mayDiffer(name: string): boolean {
  return [...NO_PROXY, ...CA, 'NODE_USE_ENV_PROXY', 'JAVA_TOOL_OPTIONS'].includes(name);
}

/** Credentials that are known without the Secrets, sorted. Of alternatives in a profile, the first that is taken. */
export function knownKeys({ providers }: Pick<Config, 'providers'>): string[] {
  const keys = providers.flatMap((provider) => [
    ...provider.credentials.map(({ key }) => key),
    ...provider.from.flatMap((source) => keysOf(provider, source)),
  ]);
  return [...new Set(keys)].filter((key) => nameFault(key) === undefined).sort();
}

function keysOf({ profileCredentials }: Provider, source: BulkSource): string[] {
  if (source.mode === 'allKeys')
    return [...source.rename.keys(), ...source.include.filter((glob) => !glob.includes('*'))]
      .filter((key) => takesKey(source, key))
      .map((key) => source.rename.get(key) ?? key);
  return profileCredentials.flatMap(({ name, envVars }) => {
    const first = envVars.find((key) => takesKey(source, key));
    return first ?? (takesKey(source, name) ? envVars.slice(0, 1) : []);
  });
}
