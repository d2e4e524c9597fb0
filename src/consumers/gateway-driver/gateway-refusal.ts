/** What a gateway can be refused for. A text names the credential, and which of several causes it was where that helps. */
import type { RefusalReason } from '../../snapshot/refusal.ts';
import { Status } from '../../socket/grpc-status.ts';
import { type CallRefusal, refusalsOf } from '../../socket/refusal.ts';
import { type GatewayReference, targetText } from './gateway-reference.ts';
import { auditedRequest, type GatewayFields, type GatewayRequest } from './gateway-request.ts';

/** `request` names who asked for what, as far as it is fit for the audit. */
type GatewayRefusal =
  | { readonly kind: 'contract-version'; readonly version: number }
  | { readonly kind: 'unknown-capability'; readonly capability: string }
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

export const gatewayRefusal = refusalsOf<GatewayRefusal>((refusal) => {
  switch (refusal.kind) {
    case 'contract-version':
      return {
        code: Status.FAILED_PRECONDITION,
        details: `this driver speaks version 1 of the contract, and the gateway version ${refusal.version}`,
      };
    case 'unknown-capability':
      return {
        code: Status.FAILED_PRECONDITION,
        details: `the gateway requires the capability ${refusal.capability}, which this driver does not have`,
      };
    case 'not-a-reference':
      return {
        code: Status.INVALID_ARGUMENT,
        details: `credential ${refusal.request.key}: no values are stored here; write k8s-secret://NAMESPACE/NAME/KEY or secret-resolver://NAME`,
      };
    case 'handle-would-change':
      return {
        code: Status.FAILED_PRECONDITION,
        details: `credential ${refusal.request.key}: the gateway would keep the old reference; delete the credential from the provider, then add it again`,
      };
    // The workspace, the Secret and the key: which of them is not listed, or does not exist, is not told.
    case 'reference-not-allowed':
      return {
        code: Status.PERMISSION_DENIED,
        details: `credential ${refusal.request.key}: this workspace may not use that reference`,
      };
    case 'handle-not-valid':
      return {
        code: Status.PERMISSION_DENIED,
        details: `credential ${refusal.request.key}: the handle is not valid for this credential`,
      };
    case 'reference-not-resolved':
      return {
        code: Status.NOT_FOUND,
        details: `credential ${refusal.request.key}: no usable value; the driver's audit has the reason`,
      };
    case 'handle-key-unusable':
      return { code: Status.UNAVAILABLE, details: 'not ready yet; try again' };
    case 'batch-too-large':
      return { code: Status.RESOURCE_EXHAUSTED, details: 'too many credentials in one request' };
    case 'response-too-large':
      return { code: Status.RESOURCE_EXHAUSTED, details: 'the values do not fit one response' };
    case 'listing-not-offered':
      return { code: Status.UNIMPLEMENTED, details: 'this driver lists nothing' };
  }
});

/** Of a reference that the operator does not list for the workspace, or for anyone. */
export function notAllowed(request: GatewayFields, reference: GatewayReference): CallRefusal {
  return gatewayRefusal({
    kind: 'reference-not-allowed',
    request: auditedRequest(request),
    reference: targetText(reference),
  });
}
