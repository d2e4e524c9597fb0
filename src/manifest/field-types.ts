/**
 * Fields whose type the API server insists on. What is written otherwise would be passed over here (a Secret named
 * like a number, `privileged: "yes"`), so it is an error with its place. The value is never quoted.
 */
import type { ConfigIssue } from '../domain/errors.ts';
import type { Path } from './data.ts';
import type { ManifestDocument } from './stream.ts';

interface FieldType {
  readonly type: string;
  readonly name: string;
  readonly hint: string;
  readonly fields: string;
  /** Lists of these, and maps whose values are these. */
  readonly collections: string;
}

const TYPES: readonly FieldType[] = [
  {
    type: 'string',
    name: 'text',
    hint: 'write it in quotes, so that every YAML reader takes it for text',
    fields:
      'name generateName namespace apiVersion kind key value path image imagePullPolicy restartPolicy mountPath subPath ' +
      'subPathExpr secretName serviceAccountName targetContainerName workingDir fieldPath medium type prefix reference',
    collections:
      'command args add drop labels annotations matchLabels nodeSelector volumeAttributes data stringData',
  },
  {
    type: 'number',
    name: 'a number',
    hint: 'write a decimal number without quotes',
    fields: 'runAsUser runAsGroup fsGroup defaultMode mode containerPort hostPort',
    collections: 'supplementalGroups',
  },
  {
    type: 'boolean',
    name: 'true or false',
    hint: 'write true or false without quotes',
    fields:
      'privileged hostPID hostNetwork hostIPC hostUsers shareProcessNamespace readOnly optional runAsNonRoot immutable ' +
      'allowPrivilegeEscalation readOnlyRootFilesystem automountServiceAccountToken',
    collections: '',
  },
];
const FIELDS = typesBy('fields');
const COLLECTIONS = typesBy('collections');

function typesBy(list: 'fields' | 'collections'): ReadonlyMap<unknown, FieldType> {
  return new Map(
    TYPES.flatMap((type) => (type[list].match(/\w+/g) ?? []).map((field) => [field, type] as const)),
  );
}

/** Every field of the wrong type below `path` of the document. */
export function wrongTypes(document: ManifestDocument, path: Path, value: unknown): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const check = (at: Path, part: unknown, expected: FieldType) => {
    if (part === null || part === undefined || typeof part === expected.type) return;
    issues.push(document.issueAt(at, `is ${kindOf(part)}, not ${expected.name}`, expected.hint));
  };
  const walk = (at: Path, part: unknown): void => {
    for (const [name, child] of entriesOf(part)) {
      const here = [...at, name];
      // An image of a volume is a map, whose reference is text.
      const ofVolume = name === 'image' && at[at.length - 2] === 'volumes';
      const single = ofVolume ? undefined : FIELDS.get(name);
      const items = COLLECTIONS.get(name);
      if (single !== undefined) check(here, child, single);
      else if (items === undefined) walk(here, child);
      else
        for (const [key, item] of entriesOf(child)) {
          // A list of objects is another field of that name, such as `spec.data` of an ExternalSecret.
          if (Array.isArray(child) && typeof item === 'object') walk([...here, key], item);
          else check([...here, key], item, items);
        }
    }
  };
  walk(path, value);
  return issues;
}

function entriesOf(part: unknown): Iterable<[string | number, unknown]> {
  if (typeof part !== 'object' || part === null) return [];
  return Array.isArray(part) ? part.entries() : Object.entries(part);
}

function kindOf(part: unknown): string {
  if (part instanceof Date) return 'a date';
  if (Array.isArray(part)) return 'a list';
  return TYPES.find(({ type }) => type === typeof part)?.name ?? 'a map';
}
