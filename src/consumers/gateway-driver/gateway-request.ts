/** The fields that every request of a gateway has: checked, and made fit for the audit. */
import type { SecretReference } from '../../config/config.ts';
import { shownName } from '../../domain/shown-name.ts';
import type { StoreCredentialRequest } from '../../gen/openshell/credentials/v1/credential_driver_pb.ts';
import { referenceText } from '../../observe/audit/record.ts';
import { refuse } from '../../socket/calls.ts';
import { socketRefusal } from '../../socket/refusal.ts';
import type { HandleBinding } from './gateway-handle.ts';

/** Longest name in bytes: OpenShell's limit for a key is 256, and its names are shorter. */
const MAX_NAME_BYTES = 256;

export type GatewayFields = Pick<
  StoreCredentialRequest,
  'workspace' | 'providerName' | 'providerId' | 'credentialKey'
>;

/** Whom a gateway asks for. It names no sandbox and no user: workspace and provider are all that can be known. */
export type GatewayRequest = Readonly<Record<'workspace' | 'provider' | 'providerId' | 'key', string>>;

/** What a handle is bound to; refuses a request that leaves a part of it open. */
export function bindingOf({ workspace, providerId, credentialKey }: GatewayFields): HandleBinding {
  for (const text of [workspace, providerId, credentialKey]) {
    if (text === '' || Buffer.byteLength(text) > MAX_NAME_BYTES) {
      const what = 'workspace, provider_id and credential_key must be set';
      refuse(socketRefusal({ kind: 'malformed-request', what }));
    }
  }
  return { workspace, providerId, credentialKey };
}

/**
 * Names for audit and log. Users choose the workspace's, the provider's and the credential's, and people paste
 * secrets into wrong fields: what does not read as words is not shown. The gateway chooses provider_id.
 */
export function auditedRequest(fields: GatewayFields): GatewayRequest {
  return {
    workspace: shownName(fields.workspace),
    provider: shownName(fields.providerName),
    providerId: /^[-0-9a-fA-F]{36}$/.test(fields.providerId)
      ? fields.providerId
      : shownName(fields.providerId),
    key: shownName(fields.credentialKey),
  };
}

/** A credential of a gateway in the audit's words. `reference` is absent where a handle was handed back unread. */
export function auditedCredential(
  request: GatewayFields,
  reference: SecretReference | undefined,
): Record<string, string> {
  const { workspace, provider, providerId, key } = auditedRequest(request);
  return {
    workspace,
    provider,
    provider_id: providerId,
    key,
    ...(reference === undefined ? {} : { reference: referenceText(reference) }),
  };
}
