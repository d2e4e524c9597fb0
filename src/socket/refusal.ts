/** What a call can be refused for, and the one place where a reason becomes what the caller is told. */
import { status } from '@grpc/grpc-js';
import type { Violation } from '../consumers/openshell/openshell-rules.ts';
import type { RefusalReason } from '../snapshot/refusal.ts';

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
  | { readonly kind: 'too-much-unread' }
  | { readonly kind: 'malformed-request'; readonly what: string }
  | GatewayRefusal;

/** What a gateway can be refused. `request` names who asked for what, as far as it is fit to be written down. */
export type GatewayRefusal =
  | { readonly kind: 'peer-not-compatible'; readonly what: string }
  | { readonly kind: 'not-a-reference'; readonly request: GatewayRequest }
  | { readonly kind: 'handle-would-change'; readonly request: GatewayRequest }
  | { readonly kind: 'reference-not-allowed'; readonly request: GatewayRequest; readonly reference: string }
  | { readonly kind: 'handle-not-valid'; readonly request: GatewayRequest }
  | {
      readonly kind: 'reference-not-resolved';
      readonly request: GatewayRequest;
      readonly reference: string;
      readonly reason: RefusalReason;
    }
  | { readonly kind: 'handle-key-unusable'; readonly why: string }
  | { readonly kind: 'batch-too-large'; readonly credentials: number }
  | { readonly kind: 'response-too-large'; readonly credentials: number }
  | { readonly kind: 'listing-not-offered' };

/** Whom a gateway asks for. It names no sandbox and no user: workspace and provider are all that can be known. */
export interface GatewayRequest {
  readonly workspace: string;
  readonly provider: string;
  readonly providerId: string;
  readonly key: string;
}

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
    case 'too-much-unread':
      return {
        code: status.RESOURCE_EXHAUSTED,
        details: 'too many responses of this UID are unread; read them first',
      };
    case 'malformed-request':
      return { code: status.INVALID_ARGUMENT, details: 'the request is malformed' };
    case 'peer-not-compatible':
      return { code: status.FAILED_PRECONDITION, details: 'this driver speaks version 1 of the contract' };
    case 'not-a-reference':
      return {
        code: status.INVALID_ARGUMENT,
        details: 'no values are stored here: write k8s-secret://<namespace>/<name>/<key>',
      };
    case 'handle-would-change':
      return {
        code: status.FAILED_PRECONDITION,
        details:
          'the gateway would keep the old reference: delete the credential from the provider, then add it again',
      };
    // The workspace, the Secret and the key: which of them is not listed, or not there at all, is not told.
    case 'reference-not-allowed':
      return { code: status.PERMISSION_DENIED, details: 'this workspace may not refer to that key' };
    case 'handle-not-valid':
      return { code: status.PERMISSION_DENIED, details: 'the handle is not valid for this credential' };
    case 'reference-not-resolved':
      return {
        code: isAbsent(refusal.reason) ? status.NOT_FOUND : status.FAILED_PRECONDITION,
        details: 'a credential of the batch has no usable value; the audit of the driver says which',
      };
    case 'handle-key-unusable':
      return { code: status.UNAVAILABLE, details: 'not ready yet; try again' };
    case 'batch-too-large':
      return { code: status.RESOURCE_EXHAUSTED, details: 'too many credentials in one request' };
    case 'response-too-large':
      return { code: status.RESOURCE_EXHAUSTED, details: 'the values do not fit one response' };
    case 'listing-not-offered':
      return { code: status.UNIMPLEMENTED, details: 'this driver lists nothing' };
  }
}

function isAbsent(reason: RefusalReason): boolean {
  return reason === 'secret-missing' || reason === 'key-missing';
}
