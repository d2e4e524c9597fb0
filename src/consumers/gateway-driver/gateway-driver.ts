/**
 * `openshell.credentials.v1.CredentialDriver`: an OpenShell gateway keeps a sealed handle in place of a value, and
 * gets the value of the generation that is mounted when it asks. Nothing is stored here; a value that somebody
 * submits is refused, overwritten, and repeated nowhere.
 */
import { fromBinary } from '@bufbuild/protobuf';
import type { SecretReference } from '../../config/config.ts';
import { shownName } from '../../domain/shown-name.ts';
import { VERSION } from '../../domain/version.ts';
import {
  CredentialDriver,
  DeleteCredentialRequestSchema,
  DeleteCredentialResponseSchema,
  GetCapabilitiesRequestSchema,
  GetCapabilitiesResponseSchema,
  type PeerMetadata,
  ResolveCredentialsRequestSchema,
  type StoreCredentialRequest,
  StoreCredentialRequestSchema,
  StoreCredentialResponseSchema,
} from '../../gen/openshell/credentials/v1/credential_driver_pb.ts';
import { parse, refuse } from '../../socket/calls.ts';
import type { PeerConnection } from '../../socket/connections.ts';
import { type Method, type UnaryMethod, unary } from '../../socket/method.ts';
import { currentSnapshot } from '../environment.ts';
import { encode, type GatewayDriver, handleKeys, meant } from './gateway-access.ts';
import { resolveBatch } from './gateway-batch.ts';
import { sealHandle } from './gateway-handle.ts';
import { parseReference } from './gateway-reference.ts';
import { gatewayRefusal, notAllowed } from './gateway-refusal.ts';
import { auditedCredential, auditedRequest, bindingOf, type GatewayFields } from './gateway-request.ts';

const DRIVER_NAME = 'secret-resolver';
/** The contract that gateways ask for by name, and its major version. */
const CONTRACT = 'openshell.credentials.contract';
const CONTRACT_MAJOR = 1;
/** What an auditor must know of every record about a gateway: its requests carry nobody's identity. */
const REQUESTER = 'unknown: a gateway names workspace and provider, and no sandbox or user';

export function gatewayMethods(driver: GatewayDriver): Method[] {
  const { audit } = driver;
  // Our own service has a ListCredentials too.
  const method = (name: string, answer: UnaryMethod['answer']): UnaryMethod =>
    unary(CredentialDriver.typeName, name, answer, `CredentialDriver/${name}`);
  const answered = (
    { audited }: Method,
    connection: PeerConnection,
    outcome: string,
    credentials: readonly object[],
  ) => audit.answered(audited, connection.audited, { outcome, credentials, requester: REQUESTER });
  const capabilities = method('GetCapabilities', (_connection, bytes) => {
    const { gateway } = parse('GetCapabilities', () => fromBinary(GetCapabilitiesRequestSchema, bytes));
    refuseUnlessCompatible(gateway);
    return CAPABILITIES;
  });
  const stored = method('StoreCredential', (connection, bytes) => {
    try {
      const request = parse('StoreCredential', () => fromBinary(StoreCredentialRequestSchema, bytes));
      currentSnapshot(driver); // Refuses while the boundary is broken, and before and after serving.
      const { handle, reference } = store(driver, request);
      answered(stored, connection, 'referred', [auditedCredential(request, reference)]);
      return encode(StoreCredentialResponseSchema, { handle: { driver: DRIVER_NAME, handle } });
    } finally {
      // It may have been a raw value: the parsed one is a view of these bytes.
      bytes.fill(0);
    }
  });
  const deleted = method('DeleteCredential', (connection, bytes) => {
    const request = parse('DeleteCredential', () => fromBinary(DeleteCredentialRequestSchema, bytes));
    // Also for a handle that is void: a gateway must be able to clear up after a key that was lost.
    answered(deleted, connection, 'released', [auditedCredential(request, undefined)]);
    return encode(DeleteCredentialResponseSchema, {});
  });
  const resolved = method('ResolveCredentials', (connection, bytes) => {
    const { credentials } = parse('ResolveCredentials', () =>
      fromBinary(ResolveCredentialsRequestSchema, bytes),
    );
    currentSnapshot(driver);
    const { response, served, refused } = resolveBatch(driver, credentials);
    for (const { kind, facts } of refused)
      audit.denied(resolved.audited, connection.audited, kind, { ...facts, answered: 'as expired' });
    answered(resolved, connection, 'served', served);
    return response;
  });
  const listed = method('ListCredentials', () => refuse(gatewayRefusal({ kind: 'listing-not-offered' })));
  return [capabilities, stored, deleted, resolved, listed];
}

function store(
  driver: GatewayDriver,
  request: GatewayFields & Pick<StoreCredentialRequest, 'value' | 'existingHandle'>,
): { readonly handle: string; readonly reference: SecretReference } {
  const binding = bindingOf(request);
  const given = parseReference(request.value);
  const asked = auditedRequest(request);
  if (given === undefined) refuse(gatewayRefusal({ kind: 'not-a-reference', request: asked }));
  const reference = meant(driver, request, given) ?? refuse(notAllowed(request, given));
  const handle = sealHandle(binding, given, handleKeys(driver)[0]);
  // A gateway keeps the handle that it has, ignores the one in the answer, and reports success.
  const kept = request.existingHandle?.handle;
  if (kept !== undefined && kept !== handle)
    refuse(gatewayRefusal({ kind: 'handle-would-change', request: asked }));
  return { handle, reference };
}

/** A gateway that introduces itself is held to it; one that does not is older than introductions. */
function refuseUnlessCompatible(gateway: PeerMetadata | undefined): void {
  if (gateway === undefined) return;
  const version = gateway.protocolVersion?.major;
  if (version !== undefined && version !== CONTRACT_MAJOR)
    refuse(gatewayRefusal({ kind: 'contract-version', version }));
  const unknown = gateway.requiredCapabilities.find((capability) => capability !== CONTRACT);
  if (unknown !== undefined)
    refuse(gatewayRefusal({ kind: 'unknown-capability', capability: shownName(unknown) }));
}

const CAPABILITIES = encode(GetCapabilitiesResponseSchema, {
  driverName: DRIVER_NAME,
  driverVersion: VERSION,
  backendKind: 'mounted-kubernetes-secrets',
  supportsList: false,
  supportsExpiresAt: true,
  extension: {
    protocolVersion: { major: CONTRACT_MAJOR, minor: 0 },
    implementationName: 'mounted-secret-resolver',
    implementationVersion: VERSION,
    supportedCapabilities: [CONTRACT],
    requiredCapabilities: [],
  },
});
