/** Generated pod manifests: many shapes of pod, in many ways of writing them. */
import fc from 'fast-check';
import { Document } from 'yaml';

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/);

const capabilities = fc.constantFrom(undefined, { drop: ['ALL'] }, { drop: ['NET_RAW'] });

/** A container that breaks no rule. */
function container(name: string, uid: number) {
  return fc
    .record(
      {
        image: word.map((image) => `registry.example/${image}:1`),
        command: fc.array(
          fc.constantFrom('sh', 'yes', '# no comment', 'a: b', '- x', '', 'two\nlines\n', 'é'),
          {
            maxLength: 3,
          },
        ),
        env: fc.array(fc.record({ name: word, value: fc.constantFrom('on', '0777', 'null', '~', 'x') }), {
          maxLength: 2,
        }),
        volumeMounts: fc.constantFrom(
          [],
          [{ name: 'work', mountPath: '/work' }],
          [{ name: 'own', mountPath: '/own' }],
        ),
        resources: fc.constantFrom({}, { limits: { cpu: 1 } }),
        capabilities,
      },
      { requiredKeys: ['image'] },
    )
    .map(({ capabilities: caps, ...rest }) => ({
      name,
      ...rest,
      securityContext: {
        runAsUser: uid,
        // Containers that run beside the resolver, in one PID namespace with it or not.
        ...(uid === 0 ? {} : { allowPrivilegeEscalation: false }),
        ...(caps === undefined ? {} : { capabilities: caps }),
      },
    }));
}

export interface GeneratedPod {
  readonly metadata: Record<string, unknown>;
  readonly spec: Record<string, unknown>;
}

/** A pod with an agent (UID 1000) and a supervisor (UID 1337), which `inject` takes. */
export const podArbitrary: fc.Arbitrary<GeneratedPod> = fc
  .record({
    agent: container('agent', 1000),
    supervisor: container('supervisor', 1337),
    others: fc.array(container('other', 2000), { maxLength: 1 }),
    inits: fc.array(container('init', 0), { maxLength: 1 }),
    sidecars: fc.array(
      container('side', 2001).map((data) => ({ ...data, restartPolicy: 'Always' })),
      { maxLength: 1 },
    ),
    supervisorFirst: fc.boolean(),
    volumes: fc.constantFrom(undefined, [], [{ name: 'spare', emptyDir: {} }]),
    initsWhereNone: fc.constantFrom(undefined, []),
    podSecurity: fc.constantFrom(undefined, { fsGroup: 1000 }, { runAsNonRoot: false }),
    shared: fc.boolean(),
    token: fc.constantFrom(undefined, false),
    metadata: fc.record(
      { labels: fc.constantFrom({}, { app: 'x' }), annotations: fc.constantFrom({}, { note: 'yes' }) },
      { requiredKeys: [] },
    ),
    order: fc.shuffledSubarray(
      ['containers', 'initContainers', 'volumes', 'securityContext', 'restartPolicy'],
      {
        minLength: 5,
      },
    ),
  })
  .map((parts) => {
    const main = [parts.agent, parts.supervisor, ...parts.others];
    const inits = [...parts.inits, ...parts.sidecars];
    // Root beside the resolver keeps no capabilities in one PID namespace; the generated ones are not root there.
    const fields: Record<string, unknown> = {
      containers: parts.supervisorFirst ? [...main].reverse() : main,
      initContainers: inits.length > 0 ? inits : parts.initsWhereNone,
      volumes: needsVolumes([...main, ...inits], parts.volumes),
      securityContext: parts.podSecurity,
      restartPolicy: 'Never',
    };
    const spec: Record<string, unknown> = {};
    for (const key of parts.order) if (fields[key] !== undefined) spec[key] = fields[key];
    if (parts.shared) spec.shareProcessNamespace = true;
    if (parts.token !== undefined) spec.automountServiceAccountToken = parts.token;
    return { metadata: parts.metadata, spec };
  });

function needsVolumes(
  containers: readonly { volumeMounts?: readonly { name: string }[] }[],
  spare: readonly object[] | undefined,
) {
  const names = new Set(
    containers.flatMap(({ volumeMounts }) => volumeMounts?.map(({ name }) => name) ?? []),
  );
  if (names.size === 0) return spare;
  return [
    ...[...names].map((name) =>
      name === 'own' ? { name, secret: { secretName: 'agents-own' } } : { name, emptyDir: {} },
    ),
    ...(spare ?? []),
  ];
}

/** How a manifest is written down. */
export interface Writing {
  readonly kind: 'Pod' | 'Deployment' | 'CronJob' | 'Sandbox';
  readonly style: 'block' | 'json' | 'pretty-json' | 'mixed';
  readonly indentSeq: boolean;
  readonly indent: number;
  readonly crlf: boolean;
  readonly finalNewline: boolean;
  /** Where comments and blank lines go: one number for each line, over and over. */
  readonly noise: readonly number[];
}

export const writingArbitrary: fc.Arbitrary<Writing> = fc.record({
  kind: fc.constantFrom('Pod', 'Deployment', 'CronJob', 'Sandbox'),
  style: fc.constantFrom('block', 'block', 'mixed', 'json', 'pretty-json'),
  indentSeq: fc.boolean(),
  indent: fc.integer({ min: 2, max: 4 }),
  crlf: fc.boolean(),
  finalNewline: fc.boolean(),
  noise: fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 12 }),
});

export function write(pod: GeneratedPod, writing: Writing): string {
  const object = wrap(pod, writing.kind);
  let text: string;
  if (writing.style === 'json') text = `${JSON.stringify(object)}\n`;
  else if (writing.style === 'pretty-json') text = `${JSON.stringify(object, null, writing.indent)}\n`;
  else text = writeYaml(object, writing);
  if (!writing.finalNewline) text = text.trimEnd();
  return writing.crlf ? text.replaceAll('\n', '\r\n') : text;
}

function writeYaml(object: object, writing: Writing): string {
  const document = new Document(object, { version: '1.1', aliasDuplicateObjects: false });
  if (writing.style === 'mixed') {
    // One of the lists in flow style, within its block.
    const path = [...templatePath(writing.kind), 'spec', 'volumes'];
    const node = document.getIn(path, true) as { flow?: boolean } | undefined;
    if (node !== undefined) node.flow = true;
  }
  const text = document.toString({
    lineWidth: 0,
    indent: writing.indent,
    indentSeq: writing.indentSeq,
    // A block scalar's text is content: noise between its lines would change it.
    blockQuote: false,
  });
  return text
    .split('\n')
    .map((line, index) => {
      if (line === '') return line;
      const indent = /^ */.exec(line)?.[0] ?? '';
      switch (writing.noise[index % writing.noise.length]) {
        case 0:
          return `${indent}# before\n${line}`;
        case 1:
          return `${line}   # behind`;
        case 2:
          return `${line}\n`;
        case 3:
          return `${line}\n${indent}      # deeper`;
        case 4:
          return `${line}\n# at the margin`;
        default:
          return line;
      }
    })
    .join('\n');
}

function templatePath(kind: Writing['kind']): string[] {
  switch (kind) {
    case 'Pod':
      return [];
    case 'Deployment':
      return ['spec', 'template'];
    case 'CronJob':
      return ['spec', 'jobTemplate', 'spec', 'template'];
    case 'Sandbox':
      return ['spec', 'podTemplate'];
  }
}

function wrap(pod: GeneratedPod, kind: Writing['kind']): object {
  const metadata = { name: 'generated', namespace: 'tenant-a' };
  const template = Object.keys(pod.metadata).length === 0 ? { spec: pod.spec } : pod;
  switch (kind) {
    case 'Pod':
      return { apiVersion: 'v1', kind, metadata: { ...metadata, ...pod.metadata }, spec: pod.spec };
    case 'Deployment':
      return { apiVersion: 'apps/v1', kind, metadata, spec: { replicas: 1, template } };
    case 'CronJob':
      return {
        apiVersion: 'batch/v1',
        kind,
        metadata,
        spec: { schedule: '* * * * *', jobTemplate: { spec: { template } } },
      };
    case 'Sandbox':
      return { apiVersion: 'agents.x-k8s.io/v1beta1', kind, metadata, spec: { podTemplate: template } };
  }
}

/** The pod of a parsed manifest. */
export function podOf(object: unknown, kind: Writing['kind']): GeneratedPod {
  return templatePath(kind).reduce<unknown>(
    (at, key) => (at as Record<string, unknown>)[key],
    object,
  ) as GeneratedPod;
}
