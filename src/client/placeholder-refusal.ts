/**
 * What rewriting returns. Every refusal is a tagged value: `reason` goes to the agent, `detail` to the operator's
 * log. Neither holds a value, or a part of the request other than the credential's name.
 */

/** The part of a request that a placeholder was found in. */
export type Location = 'header' | 'query' | 'path' | 'body' | 'request';

/** Why a placeholder was not replaced: for the log. The agent sees only the reason. */
export type RefusalDetail =
  /** No snapshot has been set, or it was withdrawn. */
  | 'no-snapshot'
  /** The snapshot has no such credential: never there, refused, or revoked. */
  | 'unknown-credential'
  /** The credential is bound to no endpoint, so it can go nowhere. */
  | 'no-endpoint'
  /** `openshell:resolve:env:KEY` names no revision and no handle; a bound credential does not answer to it. */
  | 'canonical-form'
  /** The revision is not the one in force: what it named has been replaced. */
  | 'stale-revision'
  /** The handle is not the credential's: other endpoints, another reference, or made up. */
  | 'wrong-handle'
  /** The credential is not bound to this host, port and path. */
  | 'wrong-endpoint'
  /** The request is plain HTTP, and no endpoint of the credential is declared for that. */
  | 'tls-required'
  /** A Host or :authority names another server than the destination. */
  | 'host-mismatch'
  /** The path can be read in more than one way, so it cannot be compared with a bound one. */
  | 'ambiguous-path'
  /** The credential has ended. */
  | 'expired'
  /** The request holds more placeholders than any needs, and would grow out of proportion. */
  | 'too-many-placeholders'
  /** The value is empty, erased, or not UTF-8. */
  | 'unusable-value'
  /** The value holds CR, LF or NUL, or in a header any control character but the tab. */
  | 'control-character-in-value'
  /** The value holds `..`, `/`, `\`, `?` or `#` and would change the path that it is put into. */
  | 'value-changes-path'
  /** The text begins like a placeholder but is not one. */
  | 'malformed-placeholder'
  /** A marker is in a place where none is replaced, or in an encoding that this place does not allow. */
  | 'unresolved-marker'
  /** The opted-in body is of a media type in which we do not know how to write a value safely. */
  | 'body-type-not-supported';

/** The two answers that an agent can get; the names are OpenShell's. */
export type RefusalReason = 'credential_unavailable' | 'credential_endpoint_mismatch';

/** Why nothing of the request may be sent. */
export interface Refusal {
  readonly kind: 'refused';
  readonly reason: RefusalReason;
  readonly detail: RefusalDetail;
  readonly location: Location;
  /** Name of the credential; undefined where the text names none. */
  readonly key: string | undefined;
}

/** A text with its values in place. `value` is secret; `redacted` is what a log may have. */
export interface Rewritten<T> {
  readonly kind: 'rewritten';
  readonly value: T;
  readonly redacted: string;
  /** Names of the credentials that are in `value`, each once, in the order found. Empty: nothing was changed. */
  readonly keys: readonly string[];
}

/** The outcome of rewriting a text, a body or a request. */
export type Rewriting<T> = Rewritten<T> | Refusal;

export function refuse(detail: RefusalDetail, location: Location, key?: string): Refusal {
  return { kind: 'refused', reason: reasonOf(detail), detail, location, key };
}

/** The HTTP status that goes with a reason. */
export function statusOf(reason: RefusalReason): 403 | 500 {
  switch (reason) {
    case 'credential_endpoint_mismatch':
      return 403;
    case 'credential_unavailable':
      return 500;
  }
}

function reasonOf(detail: RefusalDetail): RefusalReason {
  switch (detail) {
    case 'wrong-endpoint':
    case 'tls-required':
    case 'host-mismatch':
    case 'ambiguous-path':
      return 'credential_endpoint_mismatch';
    case 'no-snapshot':
    case 'unknown-credential':
    case 'no-endpoint':
    case 'canonical-form':
    case 'stale-revision':
    case 'wrong-handle':
    case 'expired':
    case 'too-many-placeholders':
    case 'unusable-value':
    case 'control-character-in-value':
    case 'value-changes-path':
    case 'malformed-placeholder':
    case 'unresolved-marker':
    case 'body-type-not-supported':
      return 'credential_unavailable';
  }
}
