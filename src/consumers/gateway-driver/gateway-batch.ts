/**
 * ResolveCredentials: every request_id is answered, or a gateway drops the sandbox's environment as a whole, and it asks
 * for one provider at a time. So a credential that cannot be resolved is answered as expired, which makes the gateway
 * leave out that one alone; with the rest of its provider where a profile requires it.
 */
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { SecretReference } from '../../config/config.ts';
import { MAX_RESPONSE_BYTES } from '../../domain/limits.ts';
import { OwnedBytes } from '../../domain/owned-bytes.ts';
import {
  type ResolveCredentialRequest,
  ResolveCredentialsResponseSchema,
} from '../../gen/openshell/credentials/v1/credential_driver_pb.ts';
import { referenceText } from '../../observe/audit/record.ts';
import { readOf, type VolumeReads } from '../../snapshot/candidates.ts';
import type { RefusalReason } from '../../snapshot/refusal.ts';
import { type Decoded, decodeValue } from '../../snapshot/value.ts';
import { refuse } from '../../socket/calls.ts';
import { type CallRefusal, socketRefusal } from '../../socket/refusal.ts';
import { encode, type GatewayDriver, meant, open } from './gateway-access.ts';
import type { GatewayReference } from './gateway-reference.ts';
import { gatewayRefusal, notAllowed } from './gateway-refusal.ts';
import { auditedCredential, auditedRequest } from './gateway-request.ts';

/** Credentials in one request: 32 providers of 32 credentials are the most that a sandbox may have. */
export const MAX_BATCH = 1_024;
/** Unix milliseconds that are over, and not 0, which would mean that no end is known. */
const LONG_AGO_MS = 1;

type Value = Extract<Decoded, { kind: 'value' }>;

interface Answer {
  readonly request: ResolveCredentialRequest;
  readonly reference: SecretReference | undefined;
  outcome: Value | CallRefusal;
}

export interface Batch {
  readonly response: OwnedBytes;
  readonly served: readonly Record<string, string>[];
  /** Answered as expired, each with its cause. */
  readonly refused: readonly CallRefusal[];
}

export function resolveBatch(driver: GatewayDriver, requests: readonly ResolveCredentialRequest[]): Batch {
  if (requests.length > MAX_BATCH)
    refuse(gatewayRefusal({ kind: 'batch-too-large', credentials: requests.length }));
  if (new Set(requests.map(({ requestId }) => requestId)).size !== requests.length) {
    refuse(socketRefusal({ kind: 'malformed-request', what: 'duplicate request_id in one batch' }));
  }
  // Every handle is judged before the first value is touched: one that is forged ends the batch.
  const opened = requests.map((request) => ({ request, given: open(driver, request) }));
  const now = Date.now();
  const answers: Answer[] = [];
  try {
    for (const { request, given } of opened) answers.push(answerTo(driver, request, given, now));
    withholdWhereRequired(driver, answers);
    const values = answers.flatMap(({ outcome }) => ('value' in outcome ? outcome.value.byteLength : []));
    if (values.reduce((sum, bytes) => sum + bytes, 0) > MAX_RESPONSE_BYTES)
      refuse(gatewayRefusal({ kind: 'response-too-large', credentials: requests.length }));
    const response = new OwnedBytes(
      encode(ResolveCredentialsResponseSchema, { credentials: answers.map(encodable) }),
    );
    // It is written in this turn of the event loop or never.
    setImmediate(() => response.retire());
    return {
      response,
      served: answers.flatMap(({ request, reference, outcome }) =>
        'value' in outcome ? [auditedCredential(request, reference)] : [],
      ),
      refused: answers.flatMap(({ outcome }) => ('value' in outcome ? [] : outcome)),
    };
  } finally {
    for (const { outcome } of answers) if ('value' in outcome) outcome.value.erase();
  }
}

function answerTo(
  driver: GatewayDriver,
  request: ResolveCredentialRequest,
  given: GatewayReference,
  now: number,
): Answer {
  const reference = meant(driver, request, given);
  if (reference === undefined) return { request, reference, outcome: notAllowed(request, given) };
  const found = mounted(driver.reads(), reference, now);
  const outcome = typeof found === 'string' ? notResolved(request, reference, found) : found;
  return { request, reference, outcome };
}

/** The value that is mounted now, as text: a gateway hands it on as an environment variable, where no line break may be. */
function mounted(reads: VolumeReads, reference: SecretReference, now: number): Value | RefusalReason {
  const read = readOf(reads, reference);
  if (read.kind === 'fault') return read.fault;
  const key = read.generation.keys.get(reference.key);
  if (key === undefined) return 'key-missing';
  if (key.kind === 'fault') return key.fault;
  const decoded = decodeValue(key.value, { trim: 'trailingNewline', format: 'text' });
  if (decoded.kind === 'refused') return decoded.reason;
  if (decoded.jwtExpiresAtMs === undefined || decoded.jwtExpiresAtMs > now) return decoded;
  decoded.value.erase();
  return 'expired';
}

function notResolved(request: ResolveCredentialRequest, reference: SecretReference, reason: RefusalReason) {
  return gatewayRefusal({
    kind: 'reference-not-resolved',
    request: auditedRequest(request),
    reference: referenceText(reference),
    reason,
  });
}

/** Withholds each provider in which a required credential, and every alternative to it, has no value. */
function withholdWhereRequired(driver: GatewayDriver, answers: Answer[]): void {
  const { required } = driver.settings();
  const usable = new Set(
    answers.flatMap(({ request, outcome }) =>
      'value' in outcome ? `${request.providerId}\0${request.credentialKey}` : [],
    ),
  );
  const withheld = new Set(
    answers.flatMap(({ request: { providerId, credentialKey }, outcome }) =>
      !('value' in outcome) &&
      required.some(
        (names) =>
          names.includes(credentialKey) && !names.some((name) => usable.has(`${providerId}\0${name}`)),
      )
        ? providerId
        : [],
    ),
  );
  for (const answer of answers) {
    const { request, reference, outcome } = answer;
    if (!('value' in outcome) || reference === undefined || !withheld.has(request.providerId)) continue;
    outcome.value.erase();
    answer.outcome = notResolved(request, reference, 'provider-withheld');
  }
}

function encodable({ request: { requestId }, outcome }: Answer) {
  const expiresAtMs = 'value' in outcome ? outcome.jwtExpiresAtMs : LONG_AGO_MS;
  return {
    requestId,
    ...('value' in outcome && { value: outcome.value.reveal() as Uint8Array<ArrayBuffer> }),
    ...(expiresAtMs !== undefined && {
      expiresAtMs: BigInt(expiresAtMs),
      expirationTime: timestampFromMs(expiresAtMs),
    }),
  };
}
