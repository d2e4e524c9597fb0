/** CPU, memory and ephemeral storage of the containers that inject adds, and how a person changes them. */

const RESOURCES = ['cpu', 'memory', 'ephemeral-storage'] as const;
type Amounts = Readonly<Partial<Record<(typeof RESOURCES)[number], string>>>;

export interface ContainerResources {
  readonly requests: Amounts;
  readonly limits: Amounts;
}

/**
 * Each has a request and a limit, since a ResourceQuota refuses a pod that lacks one it counts. Storage is the log
 * alone: the root file system is read-only, and the kubelet keeps several files of 10 to 50 MiB.
 */
export const RESOLVER_RESOURCES: ContainerResources = {
  // What serving needs beside a container that spins on every core: a call then takes 16 ms (p99). With 10m it can wait
  // for seconds. At rest the resolver uses 2m.
  requests: { cpu: '100m', memory: '96Mi', 'ephemeral-storage': '16Mi' },
  limits: { cpu: '1', memory: '256Mi', 'ephemeral-storage': '512Mi' },
};
export const SELF_TEST_RESOURCES: ContainerResources = {
  requests: { cpu: '10m', memory: '64Mi', 'ephemeral-storage': '16Mi' },
  limits: { cpu: '1', memory: '256Mi', 'ephemeral-storage': '512Mi' },
};
/** The kit: a process of Node that sees the headers of each request, and bodies where the operator says so. */
export const EGRESS_RESOURCES: ContainerResources = {
  requests: { cpu: '100m', memory: '96Mi', 'ephemeral-storage': '16Mi' },
  limits: { cpu: '1', memory: '256Mi', 'ephemeral-storage': '512Mi' },
};
/** With one worker Envoy takes 72 MB; it starts one for each core of its limit. */
export const ENVOY_RESOURCES: ContainerResources = {
  requests: { cpu: '100m', memory: '96Mi', 'ephemeral-storage': '16Mi' },
  limits: { cpu: '2', memory: '512Mi', 'ephemeral-storage': '512Mi' },
};

/** How a change is written, for help and messages. */
export const RESOURCES_FORM = 'limits.cpu=500m,requests.memory=128Mi,limits.ephemeral-storage=none';

const SUFFIXES: Readonly<Record<string, number>> = {
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** The defaults with the changes of a list; `none` takes an entry out. Undefined where the list is malformed. */
export function changeResources(defaults: ContainerResources, list: string): ContainerResources | undefined {
  const changed = { requests: { ...defaults.requests }, limits: { ...defaults.limits } };
  for (const entry of list.split(',').filter((part) => part.trim() !== '')) {
    const [, field, resource, amount = ''] =
      /^\s*(requests|limits)\.([a-z-]+)\s*=\s*(\S+)\s*$/.exec(entry) ?? [];
    const known = RESOURCES.find((name) => name === resource);
    if ((field !== 'requests' && field !== 'limits') || known === undefined) return undefined;
    if (amount === 'none') delete changed[field][known];
    else if (Number.isNaN(quantity(amount))) return undefined;
    else changed[field][known] = amount;
  }
  return changed;
}

/** The first resource whose request is above its limit: the API server refuses such a pod. */
export function requestAboveLimit({ requests, limits }: ContainerResources): keyof Amounts | undefined {
  return RESOURCES.find((name) => quantity(requests[name]) > quantity(limits[name]));
}

function quantity(text: string | undefined): number {
  const [, digits = '', suffix = ''] = /^(\d+(?:\.\d+)?)([a-zA-Z]*)$/.exec(text ?? '') ?? [];
  return digits === '' ? Number.NaN : Number(digits) * (SUFFIXES[suffix] ?? Number.NaN);
}
