/** Longest environment name, in bytes: OpenShell's limit for a key. */
export const MAX_KEY_BYTES = 256;

/**
 * Names that cannot be served: they would be confused with a revision (`v7_…`) or a handle (`s<64 hex>_…`) in a
 * placeholder, or, like `__proto__`, are not an ordinary property name in JavaScript.
 */
export const UNSERVABLE_NAME = /^(v[0-9]+_|s[0-9a-f]{64}_|__proto__$)/;
/** The negation of {@link UNSERVABLE_NAME}, as one pattern for the published schema. */
export const SERVABLE_NAME = /^(?!v[0-9]+_|s[0-9a-f]{64}_|__proto__$)/;

/** Credential names that OpenShell's placeholders accept. */
export const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Keys that the Kubernetes API server accepts in a Secret. */
export const SECRET_KEY = /^[-._a-zA-Z0-9]{1,253}$/;
