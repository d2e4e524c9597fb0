/** Longest environment name, in bytes: OpenShell's limit for a key. */
export const MAX_KEY_BYTES = 256;

/**
 * Names that cannot be served: a revision (`v7_…`) or a handle (`s<64 hex>_…`) inside a placeholder could not be
 * told apart from them, and `__proto__` is no name of its own in a JavaScript object.
 */
export const UNSERVABLE_NAME = /^(v[0-9]+_|s[0-9a-f]{64}_|__proto__$)/;
/** The opposite of {@link UNSERVABLE_NAME}, as one pattern for the published schema. */
export const SERVABLE_NAME = /^(?!v[0-9]+_|s[0-9a-f]{64}_|__proto__$)/;

/** What the placeholders of OpenShell take as the name of a credential. */
export const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What the API server takes as a key of a Secret. */
export const SECRET_KEY = /^[-._a-zA-Z0-9]{1,253}$/;
