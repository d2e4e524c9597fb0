/** Names that inject gives and lint looks for. They are part of the interface: admission policies match on them. */
import { createHash } from 'node:crypto';
import { LABEL_PREFIX } from '../domain/kubernetes.ts';

export const RESOLVER = 'secret-resolver';
export const SELF_TEST = 'secret-resolver-self-test';
/** The self-test's name, and what earlier injections called it. */
export const SELF_TESTS: readonly unknown[] = [SELF_TEST, 'secret-resolver-probe'];

/** The kit that makes a stock Envoy the supervisor, and that Envoy. */
export const EGRESS = 'egress';
export const ENVOY = 'envoy';

/** Every volume of ours begins with this; no other volume may. */
export const VOLUME_PREFIX = 'secret-resolver-';
export const SOCKET_VOLUME = 'secret-resolver-socket';
export const CONFIG_VOLUME = 'secret-resolver-config';
/** Envoy's configuration and the kit's socket; the CA's certificate, which the agent reads. */
export const EGRESS_VOLUME = 'secret-resolver-egress';
export const CA_VOLUME = 'secret-resolver-ca';
const SECRET_VOLUME_PREFIX = 'secret-resolver-secret-';

/** Where the ConfigMaps are mounted in the resolver, and the file that `serve` is started with. */
export const CONFIG_MOUNT = '/etc/secret-resolver';
export const CONFIG_FILE = 'config.yaml';

/** Container names that are known without a flag or annotation. */
export const KNOWN_AGENTS = ['agent'] as const;
export const KNOWN_SUPERVISORS = ['openshell-supervisor-network', 'supervisor', EGRESS] as const;

export const Annotation = {
  /** Written by inject: version, hash and what was created. */
  injected: `${LABEL_PREFIX}injected`,
  /** Name of the agent's container; empty if the pod has no agent. */
  agent: `${LABEL_PREFIX}agent`,
  /** Names of the supervisor containers, separated by commas. */
  supervisors: `${LABEL_PREFIX}supervisors`,
  /** "false" leaves a template as it is. */
  inject: `${LABEL_PREFIX}inject`,
  /** Changes to CPU, memory and storage of the resolver and of the self-test. */
  resources: `${LABEL_PREFIX}resources`,
  selfTestResources: `${LABEL_PREFIX}self-test-resources`,
  /** Written by the mutating policy: why a pod that asks for a resolver has none. */
  notInjected: `${LABEL_PREFIX}not-injected`,
  /** On a Namespace: the Secrets that it reserves. */
  reservedSecrets: `${LABEL_PREFIX}reserved-secrets`,
} as const;

export const Label = {
  /** On every pod that has a resolver: what the NetworkPolicy and the PodMonitor select. */
  injected: `${LABEL_PREFIX}injected`,
  /** On a Namespace, where pods may say by annotation who is who. */
  annotatedRoles: `${LABEL_PREFIX}annotated-roles`,
  /** On a Namespace that reserves Secrets. */
  reserved: `${LABEL_PREFIX}reserved`,
  /** OpenShell 0.1.x puts `supervisor` here on the supervisor's own pod, in which no agent runs. */
  component: 'openshell.ai/component',
} as const;

/** Annotations that ask an injector for a container which reads the pod's service account token. */
export const TOKEN_ANNOTATIONS: readonly {
  readonly key: RegExp;
  readonly enabled: RegExp;
  readonly instead?: string;
}[] = [
  {
    key: /^vault\.hashicorp\.com\/agent-inject$/,
    enabled: /^(1|t|true)$/i,
    instead: 'vault.hashicorp.com/agent-service-account-token-volume-name',
  },
  {
    key: /^(vault\.security\.banzaicloud\.io|secrets-webhook\.security\.bank-vaults\.io)\/vault-addr$/,
    enabled: /./,
  },
  { key: /^consul\.hashicorp\.com\/connect-inject$/, enabled: /^(1|t|true)$/i },
];

/** Longest name of a volume: a DNS label. */
const MAX_LABEL = 63;

/** Name of the volume of a Secret. A name that is no DNS label, or too long, is cut and told apart by a hash. */
export function secretVolumeName(secret: string): string {
  const plain = `${SECRET_VOLUME_PREFIX}${secret}`;
  if (plain.length <= MAX_LABEL && !secret.includes('.')) return plain;
  const hash = createHash('sha256').update(secret).digest('hex').slice(0, 8);
  const room = MAX_LABEL - SECRET_VOLUME_PREFIX.length - hash.length - 1;
  return `${SECRET_VOLUME_PREFIX}${secret.replaceAll('.', '-').slice(0, room).replace(/-+$/, '')}-${hash}`;
}
