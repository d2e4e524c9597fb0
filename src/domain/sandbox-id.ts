/**
 * Where the id of the sandbox comes from: the gateway's own id, which OpenShell writes into an annotation, else the
 * UID of the pod. The downward API gives an empty text for an annotation that a pod does not have.
 */
export const SANDBOX_ID_SOURCES = [
  {
    variable: 'SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_IO',
    fieldPath: "metadata.annotations['openshell.io/sandbox-id']",
  },
  {
    variable: 'SECRET_RESOLVER_SANDBOX_ID_OPENSHELL_AI',
    fieldPath: "metadata.annotations['openshell.ai/sandbox-id']",
  },
  { variable: 'SECRET_RESOLVER_SANDBOX_ID', fieldPath: 'metadata.uid' },
] as const;
