/** Which documents hold a pod template, and where in them it is. */
import type { ConfigIssue } from '../domain/errors.ts';
import { asList, asMap, asText, type Data, valueAt } from './data.ts';
import type { ManifestDocument, ManifestStream, Path } from './stream.ts';

/** `group/kind` → versions that are known, and the path of the object that has the pod's `metadata` and `spec`. */
const KINDS: Readonly<Record<string, { readonly versions: readonly string[]; readonly template: Path }>> = {
  '/Pod': { versions: ['v1'], template: [] },
  'apps/Deployment': { versions: ['v1'], template: ['spec', 'template'] },
  'apps/StatefulSet': { versions: ['v1'], template: ['spec', 'template'] },
  'apps/DaemonSet': { versions: ['v1'], template: ['spec', 'template'] },
  'batch/Job': { versions: ['v1'], template: ['spec', 'template'] },
  'batch/CronJob': { versions: ['v1'], template: ['spec', 'jobTemplate', 'spec', 'template'] },
  'agents.x-k8s.io/Sandbox': { versions: ['v1beta1'], template: ['spec', 'podTemplate'] },
  'extensions.agents.x-k8s.io/SandboxTemplate': { versions: ['v1beta1'], template: ['spec', 'podTemplate'] },
};

/** Where a pod's containers are found in kinds that nobody taught us. */
const LIKELY_TEMPLATES: readonly Path[] = [
  ['spec', 'template'],
  ['spec', 'podTemplate'],
  ['spec', 'jobTemplate', 'spec', 'template'],
];

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
  readonly metadata: Data;
  readonly spec: Data;
  readonly annotations: Data;
}

export interface Manifests {
  readonly templates: readonly PodTemplate[];
  readonly objects: readonly ManifestObject[];
  readonly issues: readonly ConfigIssue[];
  /** Objects that have a pod template of a kind that is not known here. */
  readonly unknown: readonly ManifestObject[];
}

/** Names of the kinds, for help and messages. */
export const KNOWN_KINDS = Object.keys(KINDS).map((key) => key.slice(key.indexOf('/') + 1));

export function findManifests(stream: ManifestStream): Manifests {
  const issues: ConfigIssue[] = [];
  const objects = stream.documents.flatMap((document) =>
    document.data === null || document.data === undefined
      ? []
      : objectsOf(stream, document, [], document.data, issues),
  );
  const templates: PodTemplate[] = [];
  const unknown: ManifestObject[] = [];
  for (const object of objects) {
    const { group, version } = splitApiVersion(object.apiVersion);
    const known = KINDS[`${group}/${object.kind}`];
    if (known === undefined) {
      if (
        LIKELY_TEMPLATES.some((path) => valueAt(object.data, [...path, 'spec', 'containers']) !== undefined)
      ) {
        unknown.push(object);
      }
    } else if (!known.versions.includes(version)) {
      issues.push(
        stream.issueAt(
          object.document,
          [...object.path, 'apiVersion'],
          `${object.kind} of this version is not known here`,
          `write ${group === '' ? '' : `${group}/`}${known.versions.join(' or ')}`,
        ),
      );
    } else {
      const template = templateOf(stream, object, known.template, issues);
      if (template !== undefined) templates.push(template);
    }
  }
  return { templates, objects, issues, unknown };
}

function splitApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf('/');
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

function objectsOf(
  stream: ManifestStream,
  document: ManifestDocument,
  path: Path,
  value: unknown,
  issues: ConfigIssue[],
): ManifestObject[] {
  const data = asMap(value);
  const apiVersion = asText(data.apiVersion);
  const kind = asText(data.kind);
  if (apiVersion === undefined || kind === undefined) {
    issues.push(
      stream.issueAt(
        document,
        path,
        'is not a Kubernetes object: it has no apiVersion or no kind',
        'give it both, or take it out of the stream',
      ),
    );
    return [];
  }
  if (apiVersion === 'v1' && kind === 'List') {
    return asList(data.items).flatMap((item, index) =>
      objectsOf(stream, document, [...path, 'items', index], item, issues),
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

function templateOf(
  stream: ManifestStream,
  object: ManifestObject,
  relative: Path,
  issues: ConfigIssue[],
): PodTemplate | undefined {
  const path = [...object.path, ...relative];
  const template = asMap(valueAt(object.data, relative));
  const containers = valueAt(template, ['spec', 'containers']);
  if (!Array.isArray(containers) || containers.length === 0) {
    issues.push(
      stream.issueAt(
        object.document,
        [...path, 'spec', 'containers'],
        `${object.kind} ${object.name} has no list of containers`,
        'write spec.containers with at least one container',
      ),
    );
    return undefined;
  }
  const metadata = asMap(template.metadata);
  return {
    object,
    document: object.document,
    path,
    metadata,
    spec: asMap(template.spec),
    annotations: asMap(metadata.annotations),
  };
}

/** `Sandbox demo`, or `Pod` where it has no name. */
export function objectName(object: Pick<ManifestObject, 'kind' | 'name'>): string {
  return object.name === '' ? object.kind : `${object.kind} ${object.name}`;
}
