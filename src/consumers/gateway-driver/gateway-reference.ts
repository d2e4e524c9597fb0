/** How a user of a gateway names a Secret, and who may use which name. Pure. */
import type { ReferenceRule, SecretReference } from '../../config/config.ts';
import { isItemPath, isNamespaceName, isSecretName } from '../../domain/names.ts';
import { referenceAllowed } from '../../snapshot/references.ts';
import { type GatewayWorkspace, REFERENCE_NAME } from './settings.ts';

const SECRET_SCHEME = 'k8s-secret://';
const NAME_SCHEME = 'secret-resolver://';
/** Longest reference in bytes: scheme, namespace, name and a path within the volume. */
const MAX_REFERENCE_BYTES = SECRET_SCHEME.length + 63 + 1 + 253 + 1 + 1024;

/** A key of a Secret, or a name that the operator maps to one. */
export type GatewayReference = SecretReference | { readonly named: string };

/**
 * Reads `k8s-secret://NAMESPACE/NAME/KEY` or `secret-resolver://NAME`; undefined for everything else. What comes in may
 * be a raw secret that somebody pasted, so it becomes a string only where it begins as a reference does.
 */
export function parseReference(bytes: Uint8Array): GatewayReference | undefined {
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (given.byteLength > MAX_REFERENCE_BYTES) return undefined;
  const after = (scheme: string) =>
    given.toString('latin1', 0, scheme.length) === scheme
      ? given.toString('latin1', scheme.length)
      : undefined;
  const secret = after(SECRET_SCHEME);
  if (secret !== undefined) return secretFrom(secret);
  const named = after(NAME_SCHEME);
  return named !== undefined && REFERENCE_NAME.test(named) ? { named } : undefined;
}

/** The form that {@link targetText} writes. */
export function parseTarget(text: string): GatewayReference | undefined {
  if (!text.startsWith('@')) return secretFrom(text);
  const named = text.slice(1);
  return REFERENCE_NAME.test(named) ? { named } : undefined;
}

/** `NAMESPACE/NAME/KEY`, or `@NAME`. No namespace begins with `@`. */
export function targetText(reference: GatewayReference): string {
  if ('named' in reference) return `@${reference.named}`;
  return `${reference.namespace}/${reference.name}/${reference.key}`;
}

function secretFrom(text: string): SecretReference | undefined {
  const [namespace = '', name = '', ...path] = text.split('/');
  const key = path.join('/');
  return isNamespaceName(namespace) && isSecretName(name) && isItemPath(key)
    ? { namespace, name, key }
    : undefined;
}

/**
 * The key that a workspace means by a reference, if the operator lists it for that workspace, and for anyone at all;
 * otherwise undefined.
 */
export function permitted(
  workspaces: readonly GatewayWorkspace[],
  allow: readonly ReferenceRule[],
  workspace: string,
  reference: GatewayReference,
): SecretReference | undefined {
  const own = workspaces.find(({ name }) => name === workspace);
  if (own === undefined) return undefined;
  const meant = 'named' in reference ? own.names.get(reference.named) : reference;
  const listed = 'named' in reference || (meant !== undefined && referenceAllowed(own.secrets, meant));
  return meant !== undefined && listed && referenceAllowed(allow, meant) ? meant : undefined;
}
