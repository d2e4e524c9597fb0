/** ExternalSecrets as several rules read them. */
import { asList, asMap, asText, type Data, type Path, valueAt } from '../../../manifest/data.ts';
import { isExternalSecret, type ManifestObject, specOfExternalSecret } from '../../../manifest/kinds.ts';
import type { ObjectSubject } from '../../../manifest/rule.ts';

export interface ExternalSecret {
  /** `the ExternalSecret gitlab`. */
  readonly text: string;
  readonly spec: Data;
  /** Path of the spec in the object. */
  readonly at: Path;
  /** Name of the Secret that it writes. */
  readonly target: string;
  readonly namespace: string | undefined;
  readonly keys: readonly string[];
}

/** Undefined for every other kind. */
export function readExternalSecret(object: ManifestObject): ExternalSecret | undefined {
  if (!isExternalSecret(object)) return undefined;
  const at = specOfExternalSecret(object);
  const spec = asMap(valueAt(object.data, at));
  const target = asMap(spec.target);
  const name = asText(asMap(object.data.spec).externalSecretName) ?? object.name;
  return {
    text: `the ${object.kind} ${object.name}`,
    spec,
    at,
    target: asText(target.name) ?? name,
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
