/** ExternalSecrets as several rules read them. */
import { asList, asMap, asText, type Data } from '../../../manifest/data.ts';
import type { ManifestObject } from '../../../manifest/kinds.ts';
import type { ObjectSubject } from '../../../manifest/rule.ts';

export interface ExternalSecret {
  /** `the ExternalSecret gitlab`. */
  readonly text: string;
  readonly spec: Data;
  /** Path of the spec in the object. */
  readonly at: readonly string[];
  /** Name of the Secret that it writes. */
  readonly target: string;
  readonly namespace: string | undefined;
  readonly keys: readonly string[];
}

/** Undefined for every other kind. */
export function readExternalSecret(object: ManifestObject): ExternalSecret | undefined {
  if (object.kind !== 'ExternalSecret' || !object.apiVersion.startsWith('external-secrets.io/'))
    return undefined;
  const spec = asMap(object.data.spec);
  const target = asMap(spec.target);
  return {
    text: `the ExternalSecret ${object.name}`,
    spec,
    at: ['spec'],
    target: asText(target.name) ?? object.name,
    namespace: object.namespace,
    keys: [
      ...asList(spec.data).flatMap((entry) => asText(asMap(entry).secretKey) ?? []),
      ...Object.keys(asMap(asMap(target.template).data)),
    ],
  };
}

/** An ExternalSecret whose Secret a resolver reads. */
export function relevant({ object, isRead }: ObjectSubject): ExternalSecret | undefined {
  const external = readExternalSecret(object);
  return external !== undefined && isRead(external.target) ? external : undefined;
}
