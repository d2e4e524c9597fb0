import { matchGlob } from '../../domain/glob.ts';
import { asMap, asText } from '../../manifest/data.ts';
import type { ManifestObject } from '../../manifest/kinds.ts';
import type { Control } from '../control.ts';
import { readExternalSecret } from './shared/external-secret.ts';

const RELOADER = 'reloader.stakater.com';
const SEARCH = `${RELOADER}/search`;
/** Annotations of a workload, or of its template, by which Reloader follows Secrets. */
const DECIDING = [`${RELOADER}/auto`, `secret.${RELOADER}/auto`, `secret.${RELOADER}/reload`, SEARCH];

export const reloaderAnnotation: Control = {
  id: 'reloader-annotation',
  group: 'rotation',
  severity: 'warn',
  threat: 'Reloader restarts the pods at each rotation of a Secret that they mount, and the agent with them.',
  promise: 'A rotation restarts no pod.',
  rule: {
    remedy: `Write the annotation ${RELOADER}/ignore: "true" on the Secret (target.template.metadata.annotations of an ExternalSecret), or take this one out.`,
    *find({ template, secrets }, all) {
      const own = asMap(asMap(template.object.data.metadata).annotations);
      // What the workload says hides what its template says.
      const [from, annotations] = DECIDING.some((key) => key in own)
        ? (['object', own] as const)
        : (['template', template.annotations] as const);
      const excluded = names(annotations[`secrets.exclude.${RELOADER}/reload`]);
      const left = [...secrets].filter(
        (secret) => !excluded.includes(secret) && !all.some((object) => carries(object, secret, 'ignore')),
      );
      for (const key of DECIDING) {
        const reloads = left.find((secret) => follows(key, annotations[key], secret, all));
        if (reloads === undefined) continue;
        yield {
          from,
          path: ['metadata', 'annotations', key],
          message: `${key} restarts the pods at each rotation of ${reloads}`,
        };
      }
    },
  },
};

/** Whether Reloader follows the Secret for an annotation. */
function follows(key: string, value: unknown, secret: string, all: readonly ManifestObject[]): boolean {
  if (key.endsWith('/auto')) return /^(1|t|T|true|TRUE|True)$/.test(String(value));
  if (key === SEARCH) return value === 'true' && all.some((object) => carries(object, secret, 'match'));
  // Each is a regular expression for the whole name. Anything but a name with `.*` in it counts as a match.
  return names(value).some((name) => {
    const glob = name.replaceAll('.*', '*');
    return /[^\w.*-]/.test(glob) || matchGlob(glob, secret);
  });
}

function names(list: unknown): string[] {
  return (asText(list) ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** Whether an object is the Secret, or makes it, with an annotation that Reloader reads there. */
function carries(object: ManifestObject, secret: string, annotation: 'ignore' | 'match'): boolean {
  const external = readExternalSecret(object);
  if (external === undefined && object.kind !== 'Secret') return false;
  const metadata =
    external === undefined ? object.data.metadata : asMap(asMap(external.spec.target).template).metadata;
  return (
    (external?.target ?? object.name) === secret &&
    asMap(asMap(metadata).annotations)[`${RELOADER}/${annotation}`] === 'true'
  );
}
