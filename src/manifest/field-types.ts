/**
 * Fields whose type the API server insists on. What is written otherwise would be passed over here (a Secret named
 * like a number, `privileged: "yes"`), so it is an error with its place. The value is never quoted.
 */
import type { ConfigIssue } from '../domain/errors.ts';
import type { Path } from './data.ts';
import type { ManifestDocument, ManifestStream } from './stream.ts';

type Expected = 'text' | 'texts' | 'number' | 'numbers' | 'flag';

const FIELDS: Readonly<Record<Expected, readonly string[]>> = {
  text: (
    'name generateName namespace apiVersion kind key value path image imagePullPolicy restartPolicy mountPath subPath ' +
    'subPathExpr secretName serviceAccountName targetContainerName workingDir fieldPath medium type prefix reference'
  ).split(' '),
  // Lists of texts, and maps whose values are texts.
  texts:
    'command args add drop labels annotations matchLabels nodeSelector volumeAttributes data stringData'.split(
      ' ',
    ),
  number: 'runAsUser runAsGroup fsGroup defaultMode mode containerPort hostPort'.split(' '),
  numbers: ['supplementalGroups'],
  flag: (
    'privileged hostPID hostNetwork hostIPC hostUsers shareProcessNamespace readOnly optional runAsNonRoot immutable ' +
    'allowPrivilegeEscalation readOnlyRootFilesystem automountServiceAccountToken'
  ).split(' '),
};
const EXPECTED = new Map(
  (Object.keys(FIELDS) as Expected[]).flatMap((expected) =>
    FIELDS[expected].map((field) => [field, expected]),
  ),
);

const HINTS = {
  text: 'write it in quotes, so that every YAML reader takes it for text',
  number: 'write a decimal number without quotes',
  flag: 'write true or false without quotes',
} as const;

/** Every field of the wrong type below `path` of the document. */
export function wrongTypes(
  stream: ManifestStream,
  document: ManifestDocument,
  path: Path,
  value: unknown,
): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const check = (at: Path, part: unknown, expected: keyof typeof HINTS) => {
    if (part === null || part === undefined || isOf(part, expected)) return;
    const message = `is ${kindOf(part)}, not ${expected === 'text' ? 'text' : expected === 'flag' ? 'true or false' : 'a number'}`;
    issues.push(stream.issueAt(document, at, message, HINTS[expected]));
  };
  const walk = (at: Path, part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    const entries = Array.isArray(part) ? part.entries() : Object.entries(part);
    for (const [name, child] of entries) {
      const here = [...at, name];
      // An image of a volume is a map, whose reference is text.
      const ofVolume = name === 'image' && at[at.length - 2] === 'volumes';
      const expected = typeof name === 'string' && !ofVolume ? EXPECTED.get(name) : undefined;
      if (expected === 'texts' || expected === 'numbers') {
        const single = expected === 'texts' ? 'text' : 'number';
        const inner = typeof child === 'object' && child !== null ? child : {};
        const items: Iterable<[string | number, unknown]> = Array.isArray(inner)
          ? inner.entries()
          : Object.entries(inner);
        // A list of objects is another field of that name, such as `spec.data` of an ExternalSecret.
        for (const [item, text] of items) {
          if (Array.isArray(inner) && typeof text === 'object') walk([...here, item], text);
          else check([...here, item], text, single);
        }
      } else if (expected !== undefined) check(here, child, expected);
      else walk(here, child);
    }
  };
  walk(path, value);
  return issues;
}

function isOf(part: unknown, expected: keyof typeof HINTS): boolean {
  return typeof part === { text: 'string', number: 'number', flag: 'boolean' }[expected];
}

function kindOf(part: unknown): string {
  if (part instanceof Date) return 'a date';
  if (Array.isArray(part)) return 'a list';
  const kinds: Readonly<Record<string, string>> = {
    string: 'text',
    number: 'a number',
    bigint: 'a number',
    boolean: 'true or false',
  };
  return kinds[typeof part] ?? 'a map';
}
