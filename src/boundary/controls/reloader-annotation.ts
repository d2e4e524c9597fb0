import { asMap } from '../../manifest/data.ts';
import type { ManifestObject } from '../../manifest/kinds.ts';
import type { Control } from '../control.ts';
import { readExternalSecret } from './shared/external-secret.ts';

const RELOADER = 'reloader.stakater.com';

export const reloaderAnnotation: Control = {
  id: 'reloader-annotation',
  group: 'rotation',
  severity: 'warn',
  threat: 'Reloader restarts the pods at each rotation of a Secret that they mount, and the agent with them.',
  promise: 'A rotation restarts no pod.',
  rule: {
    about: 'pod',
    remedy: `Write the annotation ${RELOADER}/ignore: "true" on the Secret (target.template.metadata.annotations of an ExternalSecret), or take this one out.`,
    *find({ template, secrets }, all) {
      const left = [...secrets].filter((secret) => !all.some((object) => isIgnored(object, secret)));
      const metadata = asMap(template.object.data.metadata);
      for (const [from, annotations] of [
        ['object', asMap(metadata.annotations)],
        ['template', template.path.length > template.object.path.length ? template.annotations : {}],
      ] as const) {
        for (const [key, value] of Object.entries(annotations)) {
          const reloads = reloaded(key, String(value), left);
          if (reloads === undefined) continue;
          yield {
            from,
            path: ['metadata', 'annotations', key],
            message: `${key} restarts the pods at each rotation of ${reloads}`,
          };
        }
      }
    },
  },
};

/** The first of the Secrets that Reloader follows for an annotation. */
function reloaded(key: string, value: string, secrets: readonly string[]): string | undefined {
  if (key === `${RELOADER}/auto` || key === `secret.${RELOADER}/auto`)
    return value === 'true' ? secrets[0] : undefined;
  if (key !== `secret.${RELOADER}/reload`) return undefined;
  const names = value.split(',').map((name) => name.trim());
  return secrets.find((secret) => names.some((name) => name === secret || name === '*'));
}

/** Whether an object is the Secret, or makes it, with the annotation that Reloader leaves it alone for. */
function isIgnored(object: ManifestObject, secret: string): boolean {
  const external = readExternalSecret(object);
  if (external === undefined && object.kind !== 'Secret') return false;
  const metadata =
    external === undefined ? object.data.metadata : asMap(asMap(external.spec.target).template).metadata;
  return (
    (external?.target ?? object.name) === secret &&
    asMap(asMap(metadata).annotations)[`${RELOADER}/ignore`] === 'true'
  );
}
