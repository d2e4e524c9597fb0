/** The fields that every request of a gateway has: checked, and made fit to be written down. */
import { shownName } from '../../domain/shown-name.ts';
import { refuse } from '../../socket/calls.ts';
import type { GatewayRequest } from '../../socket/refusal.ts';
import type { HandleBinding } from './gateway-handle.ts';

/** Longest name in bytes: OpenShell's limit for a key is 256, and its names are shorter. */
const MAX_NAME_BYTES = 256;

export interface GatewayFields {
  readonly workspace: string;
  readonly providerName: string;
  readonly providerId: string;
  readonly credentialKey: string;
}

/** What a handle is bound to; refuses a request that leaves a part of it open. */
export function bindingOf({ workspace, providerId, credentialKey }: GatewayFields): HandleBinding {
  for (const text of [workspace, providerId, credentialKey]) {
    if (text === '' || Buffer.byteLength(text) > MAX_NAME_BYTES) {
      refuse({ kind: 'malformed-request', what: 'workspace, provider_id and credential_key must be there' });
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
