/** Pods with what lint and the validating policy make of each. */
import { parseAllDocuments } from 'yaml';
import { inject } from '../../src/manifest/inject.ts';
import { ALLOWED } from '../manifest/allowed.ts';
import { ENVOY_ALLOWED, ENVOY_FAULTS } from '../manifest/envoy-faults.ts';
import { POD_FAULTS, type PodFault, plant } from '../manifest/faults.ts';
import { INPUTS, readEnvoyInput, readInput, requestFor } from '../manifest/support.ts';
import type { PodObject } from './api-server.ts';

export interface PodCase {
  readonly name: string;
  readonly pod: PodObject;
  /** Rules that lint must find, notes apart; none means that it finds nothing. */
  readonly lint: readonly string[];
  /** What the policy finds where that is not exactly what lint finds, and why. */
  readonly policy?: readonly string[];
  readonly reason?: string;
}

const OF_ADMISSION = 'lint cannot know whether the mutating policy will add a resolver';
const ROLES = 'lint says nothing about roles that it cannot find';
const ANNOTATED =
  'lint takes the record that inject wrote for the word of the operator; at admission a tenant may have written it';

/** The pod that a manifest makes. */
export function podOf(text: string, namespace = 'tenant-a'): PodObject {
  const objects = parseAllDocuments(text, { version: '1.1' }).map((document) => document.toJS());
  const [object] = objects.flatMap((one) => (one.kind === 'List' ? one.items : [one])).filter(hasPod);
  const template = templateOf(object);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...template.metadata, name: 'x', namespace },
    spec: template.spec,
  };
}

// biome-ignore lint/suspicious/noExplicitAny: manifests of any kind
type Manifest = any;

function templateOf(object: Manifest): Manifest {
  if (object.kind === 'Pod') return object;
  return object.spec?.jobTemplate?.spec.template ?? object.spec?.podTemplate ?? object.spec?.template;
}

function hasPod(object: Manifest): boolean {
  return templateOf(object)?.spec?.containers !== undefined;
}

const ENVOY = 'envoy/pod.yaml';

function injected(name: string): PodObject {
  if (name === ENVOY)
    return podOf(inject(requestFor(readEnvoyInput('pod.yaml'), { choice: { supervisors: ['envoy'] } })).text);
  const { choice } = INPUTS.find((input) => input.name === name) ?? { choice: {} };
  const pod = podOf(inject(requestFor(readInput(name), { choice })).text);
  if (name !== 'statefulset.yaml') return pod;
  // What the StatefulSet's controller makes of its claim templates.
  const data = { name: 'data', persistentVolumeClaim: { claimName: 'data-x' } };
  return { ...pod, spec: { ...pod.spec, volumes: [...(pod.spec.volumes as object[]), data] } };
}

/** Every fault in every shape that has the containers it needs. */
const SHAPES_TO_PLANT_IN = ['pod.yaml', 'sandbox.yaml', 'statefulset.yaml', ENVOY];
/** Where a fault is another one: the UID is not that shape's supervisor, or the pod has one for all containers. */
const IN_THIS_SHAPE: Readonly<Record<string, readonly string[]>> = {
  'sandbox.yaml: supervisor-uid-shared': ['privilege-escalation'],
  'statefulset.yaml: uid-not-explicit': [],
};

const FAULTY: readonly PodCase[] = SHAPES_TO_PLANT_IN.flatMap((shape) => {
  const pod = injected(shape);
  const names = (pod.spec.containers as { name: string }[]).map(({ name }) => name);
  const supervisor = names.includes('supervisor');
  const faults = shape === ENVOY ? ENVOY_FAULTS : POD_FAULTS;
  return faults
    .filter((fault) => supervisor || !fault.plant.toString().includes('pod.supervisor'))
    .map((fault) => ({
      name: `${shape}: ${fault.rule}: ${fault.name}`,
      pod: planted(pod, fault),
      lint: IN_THIS_SHAPE[`${shape}: ${fault.rule}`] ?? [fault.rule],
      ...(fault.lintOnly === undefined ? {} : { policy: [], reason: fault.lintOnly }),
    }));
});

const GOOD: readonly PodCase[] = INPUTS.map(({ name }) => ({
  name: `${name}, injected`,
  pod: injected(name),
  lint: [],
  ...(['cronjob.yaml', 'deployment.yaml', 'sandbox-template.yaml'].includes(name)
    ? { policy: ['role-annotation'], reason: ANNOTATED }
    : {}),
}));

/** A pod with faults, or changes, planted in it. */
function planted(pod: PodObject, fault: Pick<PodFault, 'plant'>): PodObject {
  const text = plant(JSON.stringify(pod), [], [{ rule: '', name: '', at: /$/, ...fault }]);
  return parseAllDocuments(text, { version: '1.1' })[0]?.toJS();
}

const FINE: readonly PodCase[] = [
  ...ALLOWED.map((change) => ({ ...change, shape: 'pod.yaml' })),
  ...ENVOY_ALLOWED.map((change) => ({ ...change, shape: ENVOY })),
].map(({ shape, ...change }) => ({ name: change.name, pod: planted(injected(shape), change), lint: [] }));

const base = injected('pod.yaml');

function changed(spec: Partial<Record<string, unknown>>, metadata: object = {}): PodObject {
  return {
    ...base,
    metadata: { ...base.metadata, ...metadata },
    spec: { ...base.spec, ...spec },
  };
}

function annotated(annotations: Readonly<Record<string, string>>): PodObject {
  return changed({}, { annotations });
}

const list = (field: string) => (base.spec[field] ?? []) as { name: string }[];
const without = (field: string, name: string) => list(field).filter((item) => item.name !== name);
const labelled = { labels: { 'secret-resolver/inject': 'true' } };

const BY_HAND: readonly PodCase[] = [
  { name: 'a pod that is not labelled', pod: podOf(readInput('pod.yaml')), lint: [] },
  { name: 'an injected pod with the label', pod: changed({}, labelled), lint: [] },
  {
    name: 'a labelled pod without a resolver',
    pod: { ...podOf(readInput('pod.yaml')), metadata: { name: 'x', namespace: 'tenant-a', ...labelled } },
    lint: [],
    policy: [
      'reserved-uid',
      'resolver-missing',
      'resolver-order',
      'self-test-missing',
      'service-account-token',
    ],
    reason: OF_ADMISSION,
  },
  {
    name: 'an injected pod without its resolver',
    pod: changed({ initContainers: without('initContainers', 'secret-resolver') }),
    lint: ['resolver-missing'],
    policy: ['reserved-uid', 'resolver-missing', 'resolver-order'],
    reason: 'lint has nothing to compare the other containers with',
  },
  { name: 'roles by annotation', pod: annotated(named('agent', 'supervisor')), lint: [] },
  {
    name: 'no agent, by an empty annotation, and no self-test',
    pod: changed(
      { initContainers: without('initContainers', 'secret-resolver-self-test') },
      { annotations: named('', 'supervisor') },
    ),
    lint: ['role-annotation'],
  },
  {
    name: 'an agent that is not there',
    pod: annotated(named('nobody', 'supervisor')),
    lint: ['role-annotation', 'socket-mounted-elsewhere'],
    policy: ['role-annotation', 'role-not-found'],
    reason: ROLES,
  },
  {
    name: 'a supervisor that is not there',
    pod: annotated(named('agent', 'supervisor, nobody')),
    lint: ['role-annotation', 'socket-mounted-elsewhere'],
    policy: ['role-annotation', 'role-not-found'],
    reason: ROLES,
  },
  {
    name: 'no supervisor',
    pod: annotated(named('agent', ' , ')),
    lint: ['socket-mounted-elsewhere'],
    policy: ['role-not-found', 'socket-mounted-elsewhere'],
    reason: ROLES,
  },
  {
    name: 'no roles written down, and names that are not known',
    pod: changed(
      {
        containers: list('containers').map((one) => (one.name === 'agent' ? { ...one, name: 'main' } : one)),
        initContainers: without('initContainers', 'secret-resolver-self-test'),
      },
      { annotations: {} },
    ),
    lint: [],
    policy: ['role-not-found'],
    reason: ROLES,
  },
  {
    name: 'two supervisors by name, neither of them chosen',
    pod: changed(
      {
        containers: [
          ...list('containers'),
          { name: 'openshell-supervisor-network', image: 'x', securityContext: { runAsUser: 5000 } },
        ],
      },
      { annotations: {} },
    ),
    lint: ['socket-mounted-elsewhere'],
    policy: ['role-not-found'],
    reason: ROLES,
  },
  {
    name: 'a record that is not one',
    pod: annotated({ 'secret-resolver/injected': 'yes' }),
    lint: [],
  },
  {
    name: 'the resolver as a main container',
    pod: changed({
      initContainers: without('initContainers', 'secret-resolver'),
      containers: [
        ...list('containers'),
        { name: 'secret-resolver', image: 'x', securityContext: { runAsUser: 10771 } },
      ],
    }),
    lint: ['resolver-order', 'resolver-privileges'],
  },
  {
    name: 'a main container with the name of the resolver beside it',
    pod: changed({
      containers: [
        ...list('containers'),
        { name: 'secret-resolver', image: 'x', securityContext: { runAsUser: 4000 } },
      ],
    }),
    lint: [],
    policy: ['resolver-command', 'resolver-missing', 'resolver-order', 'resolver-privileges'],
    reason: 'lint takes the first of that name; the API server refuses such a pod itself',
  },
  {
    name: 'a debug container with the UID of the resolver and its Secret',
    pod: changed({
      ephemeralContainers: [
        {
          name: 'debugger',
          image: 'x',
          securityContext: { runAsUser: 10771, capabilities: { add: ['SYS_PTRACE'] } },
          volumeMounts: [
            { name: 'secret-resolver-secret-gitlab', mountPath: '/s' },
            { name: 'secret-resolver-socket', mountPath: '/r' },
          ],
        },
      ],
    }),
    lint: [
      'capability',
      'resolver-uid-shared',
      'secret-mounted-elsewhere',
      'socket-mounted-elsewhere',
      'socket-writable',
    ],
  },
];

function named(agent: string, supervisors: string): Record<string, string> {
  return { 'secret-resolver/agent': agent, 'secret-resolver/supervisors': supervisors };
}

export const TABLE: readonly PodCase[] = [...GOOD, ...FINE, ...FAULTY, ...BY_HAND];
