/** `k8s-secret://<namespace>/<name>/<key>`: how a user of a gateway names a Secret. Pure. */
import type { GatewayWorkspace, ReferenceRule, SecretReference } from '../../config/config.ts';
import { isItemPath, isNamespaceName, isSecretName } from '../../config/schema.ts';
import { referenceAllowed } from '../../snapshot/references.ts';

const SCHEME = 'k8s-secret://';
/** Longest reference in bytes: scheme, namespace, name and a path within the volume. */
const MAX_REFERENCE_BYTES = SCHEME.length + 63 + 1 + 253 + 1 + 1024;

/**
 * Reads a reference; undefined for everything else. What comes in may be a raw secret that somebody pasted, so it
 * becomes a string only where it begins as a reference does.
 */
export function parseSecretReference(bytes: Uint8Array): SecretReference | undefined {
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (given.byteLength > MAX_REFERENCE_BYTES || given.toString('latin1', 0, SCHEME.length) !== SCHEME) {
    return undefined;
  }
  const [namespace = '', name = '', ...path] = given.toString('latin1', SCHEME.length).split('/');
  const key = path.join('/');
  return isNamespaceName(namespace) && isSecretName(name) && isItemPath(key)
    ? { namespace, name, key }
    : undefined;
}

/** Whether a workspace may refer to a key: the operator lists it for that workspace, and for anybody at all. */
export function workspaceMayRefer(
  workspaces: readonly GatewayWorkspace[],
  allow: readonly ReferenceRule[],
  workspace: string,
  reference: SecretReference,
): boolean {
  const own = workspaces.find(({ name }) => name === workspace);
  return own !== undefined && referenceAllowed(own.secrets, reference) && referenceAllowed(allow, reference);
}
