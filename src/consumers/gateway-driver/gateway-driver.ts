/**
 * `openshell.credentials.v1.CredentialDriver`: an OpenShell gateway keeps a sealed handle in place of a value, and
 * gets the value of the generation that is mounted when it asks. Nothing is stored here; a value that somebody
 * submits is refused, overwritten, and repeated nowhere.
 */
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { GatewayDriver, ReferenceRule, SecretReference } from '../../config/config.ts';
import { VERSION } from '../../domain/version.ts';
import {
  DeleteCredentialRequestSchema,
  DeleteCredentialResponseSchema,
  GetCapabilitiesRequestSchema,
  GetCapabilitiesResponseSchema,
  type PeerMetadata,
  type ResolveCredentialRequest,
  ResolveCredentialsRequestSchema,
  ResolveCredentialsResponseSchema,
  type StoreCredentialRequest,
  StoreCredentialRequestSchema,
  StoreCredentialResponseSchema,
} from '../../gen/openshell/credentials/v1/credential_driver_pb.ts';
import type { Audit } from '../../observe/audit/audit.ts';
import { type AuditedGatewayCredential, referenceText } from '../../observe/audit/record.ts';
import type { VolumeReads } from '../../snapshot/candidates.ts';
import { ERASE_AFTER_MS } from '../../snapshot/snapshot.ts';
import {
  type Calls,
  parse,
  type RawImplementation,
  type RawMethod,
  rawMethod,
  refuse,
} from '../../socket/calls.ts';
import { type HandleBinding, openHandle, sealHandle } from './gateway-handle.ts';
import { parseSecretReference, workspaceMayRefer } from './gateway-reference.ts';
import { auditedRequest, bindingOf, type GatewayFields } from './gateway-request.ts';
import { type ResolvedReference, resolveReference } from './gateway-resolve.ts';

const SERVICE_NAME = 'openshell.credentials.v1.CredentialDriver';
const DRIVER_NAME = 'secret-resolver';
/** The contract that gateways ask for by name, and its major version. */
const CONTRACT = 'openshell.credentials.contract';
const CONTRACT_MAJOR = 1;

/** Credentials in one request: 32 providers of 32 credentials are the most that a sandbox may have. */
export const MAX_BATCH = 1_024;
/** Bytes of values in one response: gateways take a message of 4 MiB, and names and framing need some of it. */
const MAX_VALUE_BYTES_OF_BATCH = 4 * 1024 * 1024 - 256 * 1024;

const OPERATIONS = [
  'GetCapabilities',
  'StoreCredential',
  'DeleteCredential',
  'ResolveCredentials',
  'ListCredentials',
] as const;
type Operation = (typeof OPERATIONS)[number];

/** The name of a call in audit and log: our own service has a ListCredentials too. */
const audited = (operation: Operation): string => `CredentialDriver/${operation}`;

export const GATEWAY_DRIVER_METHODS: Readonly<Record<string, RawMethod>> = Object.fromEntries(
  OPERATIONS.map((name) => [name, rawMethod(`/${SERVICE_NAME}/${name}`, { request: false, response: true })]),
);

export interface GatewayDriverOptions {
  readonly calls: Calls;
  readonly audit: Audit;
  /** What is allowed at this moment: a reload changes it. */
  readonly driver: () => GatewayDriver;
  readonly allow: () => readonly ReferenceRule[];
  /** What is mounted at this moment. */
  readonly reads: () => VolumeReads;
  /** The keys that seal handles, newest first; refuses where there is none that can be used. */
  readonly handleKeys: () => readonly [Buffer, ...Buffer[]];
}

export function gatewayDriverImplementation(options: GatewayDriverOptions): RawImplementation {
  const { calls } = options;
  const implementation: Readonly<Record<Operation, RawImplementation[string]>> = {
    GetCapabilities: calls.unary(audited('GetCapabilities'), (_connection, bytes) => {
      const { gateway } = parse('GetCapabilities', () => fromBinary(GetCapabilitiesRequestSchema, bytes));
      refuseUnlessCompatible(gateway);
      return CAPABILITIES;
    }),
    StoreCredential: calls.unary(audited('StoreCredential'), (connection, bytes) => {
      try {
        const request = parse('StoreCredential', () => fromBinary(StoreCredentialRequestSchema, bytes));
        const { handle, credential } = store(options, request);
        options.audit.gateway(audited('StoreCredential'), connection.audited, 'referred', [credential]);
        return encode(StoreCredentialResponseSchema, { handle: { driver: DRIVER_NAME, handle } });
      } finally {
        // It may have been a raw value: the parsed one is a view of these bytes.
        bytes.fill(0);
      }
    }),
    DeleteCredential: calls.unary(audited('DeleteCredential'), (connection, bytes) => {
      const request = parse('DeleteCredential', () => fromBinary(DeleteCredentialRequestSchema, bytes));
      // Also for a handle that is void: a gateway must be able to clear up after a key that was lost.
      const credential = { ...auditedRequest(request), reference: undefined };
      options.audit.gateway(audited('DeleteCredential'), connection.audited, 'released', [credential]);
      return encode(DeleteCredentialResponseSchema, {});
    }),
    ResolveCredentials: calls.unary(audited('ResolveCredentials'), (connection, bytes) => {
      const { credentials } = parse('ResolveCredentials', () =>
        fromBinary(ResolveCredentialsRequestSchema, bytes),
      );
      const { response, served } = resolveBatch(options, credentials);
      options.audit.gateway(audited('ResolveCredentials'), connection.audited, 'served', served);
      return response;
    }),
    ListCredentials: calls.unary(audited('ListCredentials'), () => refuse({ kind: 'listing-not-offered' })),
  };
  return implementation as RawImplementation;
}

/** Checks a reference and seals it. */
function store(
  options: GatewayDriverOptions,
  request: GatewayFields & Pick<StoreCredentialRequest, 'value' | 'existingHandle'>,
): { readonly handle: string; readonly credential: AuditedGatewayCredential } {
  options.calls.snapshot(); // Refuses while the boundary is broken, and before and after serving.
  const binding = bindingOf(request);
  const reference = parseSecretReference(request.value);
  const asked = auditedRequest(request);
  if (reference === undefined) refuse({ kind: 'not-a-reference', request: asked });
  refuseUnlessAllowed(options, request, reference);
  const handle = sealHandle(binding, reference, options.handleKeys()[0]);
  // A gateway keeps the handle that it has, ignores the one in the answer, and reports success.
  const kept = request.existingHandle?.handle;
  if (kept !== undefined && kept !== handle) refuse({ kind: 'handle-would-change', request: asked });
  return { handle, credential: { ...asked, reference } };
}

/** All values or none: a gateway drops the whole environment where one answer is missing. */
function resolveBatch(
  options: GatewayDriverOptions,
  requests: readonly ResolveCredentialRequest[],
): { readonly response: Buffer; readonly served: readonly AuditedGatewayCredential[] } {
  options.calls.snapshot();
  if (requests.length > MAX_BATCH) refuse({ kind: 'batch-too-large', credentials: requests.length });
  if (new Set(requests.map(({ requestId }) => requestId)).size !== requests.length) {
    refuse({ kind: 'malformed-request', what: 'a request_id stands twice in one batch' });
  }
  // Everything is judged before the first value is touched.
  const references = requests.map((request) => judge(options, request));
  const now = Date.now();
  const reads = options.reads();
  const resolved: Extract<ResolvedReference, { kind: 'value' }>[] = [];
  try {
    let size = 0;
    requests.forEach((request, index) => {
      const reference = references[index];
      if (reference === undefined) return;
      const outcome = resolveReference(reads, reference, now);
      if (outcome.kind === 'refused') {
        refuse({
          kind: 'reference-not-resolved',
          request: auditedRequest(request),
          reference: referenceText(reference),
          reason: outcome.reason,
        });
      }
      resolved.push(outcome);
      size += outcome.value.byteLength;
      if (size > MAX_VALUE_BYTES_OF_BATCH) {
        refuse({ kind: 'response-too-large', credentials: requests.length });
      }
    });
    const response = encode(ResolveCredentialsResponseSchema, {
      credentials: resolved.map(({ value, expiresAtMs }, index) => ({
        requestId: requests[index]?.requestId ?? '',
        value: value.reveal() as Uint8Array<ArrayBuffer>,
        ...(expiresAtMs === undefined
          ? {}
          : { expiresAtMs: BigInt(expiresAtMs), expirationTime: timestampFromMs(expiresAtMs) }),
      })),
    });
    setTimeout(() => response.fill(0), ERASE_AFTER_MS).unref();
    const served = requests.map((request, index) => ({
      ...auditedRequest(request),
      reference: references[index],
    }));
    return { response, served };
  } finally {
    for (const { value } of resolved) value.erase();
  }
}

/** The reference behind a handle: sealed by us for this very credential, and allowed at this moment. */
function judge(options: GatewayDriverOptions, request: ResolveCredentialRequest): SecretReference {
  const binding: HandleBinding = bindingOf(request);
  const reference = openHandle(binding, request.handle?.handle ?? '', options.handleKeys());
  if (reference === undefined) refuse({ kind: 'handle-not-valid', request: auditedRequest(request) });
  refuseUnlessAllowed(options, request, reference);
  return reference;
}

function refuseUnlessAllowed(
  options: GatewayDriverOptions,
  request: GatewayFields,
  reference: SecretReference,
): void {
  const { workspaces } = options.driver();
  if (workspaceMayRefer(workspaces, options.allow(), request.workspace, reference)) return;
  refuse({
    kind: 'reference-not-allowed',
    request: auditedRequest(request),
    reference: referenceText(reference),
  });
}

/** A gateway that introduces itself is held to it; one that does not is older than introductions. */
function refuseUnlessCompatible(gateway: PeerMetadata | undefined): void {
  if (gateway === undefined) return;
  const major = gateway.protocolVersion?.major;
  if (major !== undefined && major !== CONTRACT_MAJOR) {
    refuse({ kind: 'peer-not-compatible', what: `version ${major} of the contract` });
  }
  if (gateway.requiredCapabilities.some((capability) => capability !== CONTRACT)) {
    refuse({ kind: 'peer-not-compatible', what: 'a required capability that this driver has not' });
  }
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

function encode<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Buffer {
  const encoded = toBinary(schema, create(schema, init));
  return Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
}
