/** Which documents hold a pod template, and where in them it is. */
import type { ConfigIssue } from '../domain/errors.ts';
import { isNamespaceName } from '../domain/names.ts';
import { asList, asMap, asText, type Data, type Path, valueAt } from './data.ts';
import { wrongTypes } from './field-types.ts';
import { RESOLVER } from './names.ts';
import type { ManifestDocument, ManifestStream } from './stream.ts';

const TEMPLATE: Path = ['spec', 'template'];
const POD_TEMPLATE: Path = ['spec', 'podTemplate'];

/** Kinds that inject can work on, each with its version and the path of what has the pod's `metadata` and `spec`. */
const KINDS: readonly { readonly kind: string; readonly apiVersion: string; readonly template: Path }[] = [
  { kind: 'Pod', apiVersion: 'v1', template: [] },
  { kind: 'PodTemplate', apiVersion: 'v1', template: ['template'] },
  { kind: 'ReplicationController', apiVersion: 'v1', template: TEMPLATE },
  { kind: 'Deployment', apiVersion: 'apps/v1', template: TEMPLATE },
  { kind: 'StatefulSet', apiVersion: 'apps/v1', template: TEMPLATE },
  { kind: 'DaemonSet', apiVersion: 'apps/v1', template: TEMPLATE },
  { kind: 'ReplicaSet', apiVersion: 'apps/v1', template: TEMPLATE },
  { kind: 'Job', apiVersion: 'batch/v1', template: TEMPLATE },
  { kind: 'CronJob', apiVersion: 'batch/v1', template: ['spec', 'jobTemplate', 'spec', 'template'] },
  { kind: 'Rollout', apiVersion: 'argoproj.io/v1alpha1', template: TEMPLATE },
  { kind: 'Sandbox', apiVersion: 'agents.x-k8s.io/v1beta1', template: POD_TEMPLATE },
  { kind: 'SandboxTemplate', apiVersion: 'extensions.agents.x-k8s.io/v1beta1', template: POD_TEMPLATE },
];

/** What Helm, envsubst and their like leave in a name, and no kind of object allows. */
const PLACEHOLDER = /[\s{}$<>]/;

const CONTAINER_LISTS = ['containers', 'initContainers', 'ephemeralContainers'];

/** An object of the stream: a document, or an item of a List. */
export interface ManifestObject {
  readonly document: ManifestDocument;
  readonly path: Path;
  readonly data: Data;
  readonly apiVersion: string;
  readonly kind: string;
  /** As far as it is written. */
  readonly name: string;
  readonly namespace: string | undefined;
}

export interface PodTemplate {
  readonly object: ManifestObject;
  readonly document: ManifestDocument;
  /** Path of the object that holds the pod's `metadata` and `spec`. */
  readonly path: Path;
  readonly specPath: Path;
  /** What is at `path`. */
  readonly data: Data;
  readonly metadata: Data;
  readonly spec: Data;
  readonly annotations: Data;
}

export interface Manifests {
  /** Of kinds that inject can work on. */
  readonly templates: readonly PodTemplate[];
  /** Pod specs in objects of other kinds: lint checks them, inject leaves them alone. */
  readonly found: readonly PodTemplate[];
  /** Places with a container of our name where no pod spec is, relative to the object. */
  readonly unclear: readonly { readonly object: ManifestObject; readonly path: Path }[];
  readonly objects: readonly ManifestObject[];
  readonly issues: readonly ConfigIssue[];
}

/** Names of the kinds, for help and messages. */
export const KNOWN_KINDS = KINDS.map(({ kind }) => kind);

export function findManifests(stream: ManifestStream): Manifests {
  const issues: ConfigIssue[] = [];
  const objects = stream.documents.flatMap((document) =>
    document.data === null || document.data === undefined
      ? []
      : objectsOf(document, [], document.data, {}, issues),
  );
  const templates: PodTemplate[] = [];
  const found: PodTemplate[] = [];
  const unclear: { object: ManifestObject; path: Path }[] = [];
  for (const object of objects) {
    issues.push(...wrongTypes(object.document, [...object.path, 'metadata'], object.data.metadata));
    issues.push(...nameIssues(object));
    const known = KINDS.find(({ kind }) => kind.toLowerCase() === object.kind.toLowerCase());
    const wrong = (field: 'apiVersion' | 'kind', hint: string) => {
      const message = `${objectName(object)} has ${field === 'kind' ? 'a' : 'an'} ${field} that is not supported`;
      issues.push(issueAt(object, [field], message, hint));
    };
    if (known === undefined || !isMeant(object.apiVersion, known.apiVersion))
      searchPodSpecs(object, [], object.data, found, unclear);
    else if (known.apiVersion !== object.apiVersion) wrong('apiVersion', `write ${known.apiVersion}`);
    else if (known.kind !== object.kind) wrong('kind', `write ${known.kind}`);
    else {
      const template = templateOf(object, known.template, issues);
      if (template !== undefined) templates.push(template);
    }
    issues.push(...secretTypes(object));
  }
  for (const { object, document, path, metadata, specPath, spec } of [...templates, ...found]) {
    if (path.length > object.path.length)
      issues.push(...wrongTypes(document, [...path, 'metadata'], metadata));
    issues.push(...wrongTypes(document, specPath, spec));
  }
  return { templates, found, unclear, objects, issues };
}

function secretTypes(object: ManifestObject): ConfigIssue[] {
  const { document, path, data } = object;
  if (object.kind === 'Secret') return wrongTypes(document, path, { ...data, metadata: {} });
  if (!isExternalSecret(object)) return [];
  const spec = specOfExternalSecret(object);
  return ['target', 'data'].flatMap((field) =>
    wrongTypes(document, [...path, ...spec, field], valueAt(data, [...spec, field])),
  );
}

/** An ExternalSecret, or a ClusterExternalSecret, which makes one in each namespace that it selects. */
export function isExternalSecret({ kind, apiVersion }: ManifestObject): boolean {
  return /^(Cluster)?ExternalSecret$/.test(kind) && groupOf(apiVersion) === 'external-secrets.io';
}

/** Where the spec of an ExternalSecret is in the object. */
export function specOfExternalSecret({ kind }: ManifestObject): Path {
  return kind === 'ClusterExternalSecret' ? ['spec', 'externalSecretSpec'] : ['spec'];
}

/** A pod of another namespace than the one that is written, or of none, would be read for this one. */
function nameIssues(object: ManifestObject): ConfigIssue[] {
  const { name, namespace } = object;
  const at = (field: string, message: string, hint: string) =>
    issueAt(object, ['metadata', field], message, hint);
  const render = 'if this is a template, render it first';
  const lowercase = `write lowercase letters, digits and "-"; ${render}`;
  return [
    ...(PLACEHOLDER.test(name) ? [at('name', 'is not a name', render)] : []),
    ...(namespace && !isNamespaceName(namespace)
      ? [at('namespace', 'is not a Kubernetes namespace', lowercase)]
      : []),
  ];
}

/** Whether a kind that is ours is meant: its own group, one without a domain, or one above or below in the same domain. */
function isMeant(apiVersion: string, known: string): boolean {
  const [group, own] = [groupOf(apiVersion), groupOf(known)];
  return !group.includes('.') || group === own || own.endsWith(`.${group}`) || group.endsWith(`.${own}`);
}

function groupOf(apiVersion: string): string {
  return apiVersion.slice(0, Math.max(0, apiVersion.indexOf('/')));
}

/** Pod specs in an object of any kind: wherever there is a list of containers. */
function searchPodSpecs(
  object: ManifestObject,
  path: Path,
  value: unknown,
  found: PodTemplate[],
  unclear: { object: ManifestObject; path: Path }[],
): void {
  if (typeof value !== 'object' || value === null) return;
  const data = asMap(value);
  if (asList(data.containers).some(isContainer)) {
    const inSpec = path[path.length - 1] === 'spec';
    const holder = inSpec ? path.slice(0, -1) : path;
    found.push(podTemplate(object, holder, path, asMap(inSpec ? valueAt(object.data, holder) : {})));
    return;
  }
  const ours = Object.keys(data).find(
    (field) =>
      [data[field], ...asList(data[field])].some((item) => isOurs(item, field)) ||
      (CONTAINER_LISTS.includes(field) && asMap(data[field])[RESOLVER] !== undefined),
  );
  if (ours !== undefined) unclear.push({ object, path: [...path, ours] });
  else {
    const entries = Array.isArray(value) ? value.entries() : Object.entries(value);
    for (const [key, child] of entries) searchPodSpecs(object, [...path, key], child, found, unclear);
  }
}

function isContainer(value: unknown): boolean {
  const { name, image } = asMap(value);
  return name !== undefined && image !== undefined;
}

/** In whatever field; neither the usage that the metrics API gives for a container nor its status. */
function isOurs(value: unknown, field: string): boolean {
  const { name, image, imageID, usage } = asMap(value);
  if (name !== RESOLVER || usage !== undefined || imageID !== undefined) return false;
  return image !== undefined || CONTAINER_LISTS.includes(field);
}

function podTemplate(object: ManifestObject, holder: Path, spec: Path, template: Data): PodTemplate {
  const metadata = asMap(template.metadata);
  return {
    object,
    document: object.document,
    path: [...object.path, ...holder],
    specPath: [...object.path, ...spec],
    data: template,
    metadata,
    spec: asMap(valueAt(object.data, spec)),
    annotations: asMap(metadata.annotations),
  };
}

function objectsOf(
  document: ManifestDocument,
  path: Path,
  value: unknown,
  ofList: { readonly apiVersion?: string; readonly kind?: string },
  issues: ConfigIssue[],
): ManifestObject[] {
  const data = asMap(value);
  const apiVersion = asText(data.apiVersion) ?? ofList.apiVersion;
  const kind = asText(data.kind) ?? ofList.kind;
  if (apiVersion === undefined || kind === undefined) {
    const message = 'is not a Kubernetes object: it has no apiVersion or no kind';
    issues.push(document.issueAt(path, message, 'give it both, or take it out of the stream'));
    return [];
  }
  const { items } = data;
  if (kind.endsWith('List') && (Array.isArray(items) || items === null)) {
    // The API server leaves both fields out of the items of a PodList.
    const ofItems = kind === 'List' ? {} : { apiVersion, kind: kind.slice(0, -'List'.length) };
    return asList(items).flatMap((item, index) =>
      objectsOf(document, [...path, 'items', index], item, ofItems, issues),
    );
  }
  const metadata = asMap(data.metadata);
  return [
    {
      document,
      path,
      data,
      apiVersion,
      kind,
      name: asText(metadata.name) ?? asText(metadata.generateName) ?? '',
      namespace: asText(metadata.namespace),
    },
  ];
}

function templateOf(object: ManifestObject, relative: Path, issues: ConfigIssue[]): PodTemplate | undefined {
  // A Rollout may name a Deployment in place of a template.
  if (asMap(object.data.spec).workloadRef !== undefined) return undefined;
  const template = asMap(valueAt(object.data, relative));
  if (asList(valueAt(template, ['spec', 'containers'])).length > 0)
    return podTemplate(object, relative, [...relative, 'spec'], template);
  const message = `${object.kind} ${object.name} has no list of containers`;
  const hint = 'write spec.containers with at least one container';
  issues.push(issueAt(object, [...relative, 'spec', 'containers'], message, hint));
  return undefined;
}

/** An issue at a path that is relative to an object, or to a pod template. */
export function issueAt(
  { document, path }: Pick<ManifestObject, 'document' | 'path'>,
  relative: Path,
  message: string,
  hint: string,
): ConfigIssue {
  return document.issueAt([...path, ...relative], message, hint);
}

/** `Sandbox demo`, or `Pod` where it has no name. */
export function objectName(object: Pick<ManifestObject, 'kind' | 'name'>): string {
  return object.name === '' ? object.kind : `${object.kind} ${object.name}`;
}
