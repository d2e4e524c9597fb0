/** What a call can be refused for, and the one place where a reason becomes what the caller is told. */
import { status } from '@grpc/grpc-js';
import type { Violation } from '../resolve/openshell-rules.ts';
import type { RefusalReason } from '../resolve/refusal.ts';

/** The reason, with the facts, for the log and the audit. */
export type CallRefusal =
  | { readonly kind: 'provider-not-allowed'; readonly providers: readonly string[] }
  | { readonly kind: 'names-only' }
  | { readonly kind: 'sandbox-not-ours' }
  | { readonly kind: 'boundary-broken'; readonly findings: readonly string[] }
  | {
      readonly kind: 'required-credential-refused';
      readonly provider: string;
      readonly key: string;
      readonly reason: RefusalReason | Violation['rule'];
    }
  | { readonly kind: 'not-ready' }
  | { readonly kind: 'draining' }
  | { readonly kind: 'too-many-connections' }
  | { readonly kind: 'too-many-watches' }
  | { readonly kind: 'too-many-requests' }
  | { readonly kind: 'malformed-request'; readonly what: string };

/** What goes over the wire. */
export interface WireStatus {
  readonly code: status;
  readonly details: string;
}

/**
 * Reason → code and a fixed sentence. Deliberately vague: a caller learns what it can do, not what it came
 * upon. "Not allowed" and "does not exist" are the same words. Exhaustive: a new reason without words does
 * not compile.
 */
export function wireStatus(refusal: CallRefusal): WireStatus {
  switch (refusal.kind) {
    case 'provider-not-allowed':
      return { code: status.PERMISSION_DENIED, details: 'no such provider for this caller' };
    case 'names-only':
      return { code: status.PERMISSION_DENIED, details: 'this caller may see names and states only' };
    case 'sandbox-not-ours':
      return { code: status.PERMISSION_DENIED, details: 'no such sandbox for this caller' };
    case 'boundary-broken':
      return {
        code: status.FAILED_PRECONDITION,
        details: 'the isolation boundary is not proven; nothing is served',
      };
    case 'required-credential-refused':
      return {
        code: status.FAILED_PRECONDITION,
        details: `the required credential ${refusal.key} of provider ${refusal.provider} is refused`,
      };
    case 'not-ready':
      return { code: status.UNAVAILABLE, details: 'not ready yet; try again' };
    case 'draining':
      return { code: status.UNAVAILABLE, details: 'shutting down; try again' };
    case 'too-many-connections':
      return { code: status.RESOURCE_EXHAUSTED, details: 'too many connections of this UID' };
    case 'too-many-watches':
      return { code: status.RESOURCE_EXHAUSTED, details: 'too many watches of this UID' };
    case 'too-many-requests':
      return { code: status.RESOURCE_EXHAUSTED, details: 'too many requests of this UID; slow down' };
    case 'malformed-request':
      return { code: status.INVALID_ARGUMENT, details: 'the request is malformed' };
  }
}
