/**
 * The result of rewriting. Every refusal is a tagged value: `reason` goes to the agent, `detail` to the operator's
 * log. Neither holds a value, nor any part of the request except the name of the credential.
 */

/** The part of a request that a placeholder was found in. */
export type Location = 'header' | 'query' | 'path' | 'body' | 'request';

/** Why a placeholder was not replaced. Only for the log: the agent sees the reason. */
export type RefusalDetail =
  /** No snapshot has been set, or it was withdrawn. */
  | 'no-snapshot'
  /** The snapshot has no such credential: it never existed, or it was refused or revoked. */
  | 'unknown-credential'
  /** The credential is bound to no endpoint, so it may not be sent anywhere. */
  | 'no-endpoint'
  /** `openshell:resolve:env:KEY` names no revision and no handle, so it does not resolve to a bound credential. */
  | 'canonical-form'
  /** The revision is not the current one: its value has been replaced. */
  | 'stale-revision'
  /** The handle does not match the credential: its endpoints or reference differ, or it was made up. */
  | 'wrong-handle'
  /** The credential is not bound to this host, port and path. */
  | 'wrong-endpoint'
  /** The request uses plain HTTP, and no endpoint of the credential allows that. */
  | 'tls-required'
  /** A Host or :authority names another server than the destination. */
  | 'host-mismatch'
  /** Servers may interpret the path differently, so it cannot be compared with a bound one. */
  | 'ambiguous-path'
  /** The credential has expired. */
  | 'expired'
  /** The request holds too many placeholders: replacing them could make it huge. */
  | 'too-many-placeholders'
  /** The value is empty, erased, or not UTF-8. */
  | 'unusable-value'
  /** The value holds CR, LF or NUL, or, in a header, any control character except tab. */
  | 'control-character-in-value'
  /** The value holds `..`, `/`, `\`, `?` or `#` and would change the structure of the path. */
  | 'value-changes-path'
  /** The text begins like a placeholder but does not parse as one. */
  | 'malformed-placeholder'
  /** A marker is in a place or an encoding where placeholders are not replaced. */
  | 'unresolved-marker'
  /** The body is opted in, but its media type is not one that a value can be written into safely. */
  | 'body-type-not-supported';

/** The two refusals that an agent can receive; the names are OpenShell's. */
export type RefusalReason = 'credential_unavailable' | 'credential_endpoint_mismatch';

/** A refusal: no part of the request may be sent. */
export interface Refusal {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  readonly detail: RefusalDetail;
  readonly location: Location;
  /** Name of the credential; undefined if the text names none. */
  readonly key: string | undefined;
}

/** A text with its values filled in. `value` is secret; `redacted` is safe to log. */
export interface Rewritten<T> {
  readonly kind: 'rewritten';
  readonly value: T;
  readonly redacted: string;
  /** Names of the credentials in `value`, without duplicates, in the order found. Empty if nothing was changed. */
  readonly keys: readonly string[];
}

/** The outcome of rewriting a text, a body or a request. */
export type Rewriting<T> = Rewritten<T> | Refusal;

export function refuse(detail: RefusalDetail, location: Location, key?: string): Refusal {
  const reason = MISMATCHES.includes(detail) ? 'credential_endpoint_mismatch' : 'credential_unavailable';
  return { kind: 'refused', reason, detail, location, key };
}

/** The HTTP status for a reason. */
export function statusOf(reason: RefusalReason): 403 | 500 {
  return reason === 'credential_endpoint_mismatch' ? 403 : 500;
}

/** A credential that the agent may use, elsewhere. Everything else is unavailable to it. */
const MISMATCHES: readonly RefusalDetail[] = [
  'wrong-endpoint',
  'tls-required',
  'host-mismatch',
  'ambiguous-path',
];
