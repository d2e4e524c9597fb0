/** ListCredentials: names, references and states, in pages that stay below the message limit. */
import { create, toBinary } from '@bufbuild/protobuf';
import { MAX_MESSAGE_BYTES } from '../../domain/limits.ts';
import {
  type Credential,
  CredentialSchema,
  CredentialState,
  ListCredentialsResponseSchema,
} from '../../gen/secretresolver/v1/resolver_pb.ts';
import { binding } from '../../snapshot/environment-encoder.ts';
import type { CredentialRefusal } from '../../snapshot/refusal.ts';
import type { ServedCredential } from '../../snapshot/resolve.ts';
import { fingerprint, itemId, type Snapshot } from '../../snapshot/snapshot.ts';

/** Bytes of credentials in one page. */
const PAGE_BYTES = (MAX_MESSAGE_BYTES / 4) * 3;
/** Bytes of tag and length before each credential, at most. */
const FRAME_BYTES = 5;

/** The page after a token, which names the last credential of the page before; the first page for an empty one. */
export function encodeList(
  snapshot: Snapshot,
  sees: (provider: string) => boolean,
  processKey: Buffer,
  token: string,
): Buffer {
  const after = Buffer.from(token, 'base64url').toString('utf8');
  const items = [...snapshot.credentials, ...snapshot.refusals]
    .filter(({ provider }) => sees(provider))
    .map((item) => ({ item, id: itemId(item) }))
    .filter(({ id }) => id > after)
    .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const credentials: Credential[] = [];
  let bytes = 0;
  let last = '';
  for (const { item, id } of items) {
    const credential = create(CredentialSchema, 'value' in item ? served(item, processKey) : refused(item));
    bytes += toBinary(CredentialSchema, credential).byteLength + FRAME_BYTES;
    if (bytes > PAGE_BYTES && last !== '') break;
    credentials.push(credential);
    last = id;
  }
  const nextPageToken =
    credentials.length < items.length ? Buffer.from(last, 'utf8').toString('base64url') : '';
  const page = create(ListCredentialsResponseSchema, { credentials, nextPageToken });
  return Buffer.from(toBinary(ListCredentialsResponseSchema, page));
}

function served(credential: ServedCredential, processKey: Buffer) {
  const { provider, key, reference, required, expiresAtMs, handle, endpoints } = credential;
  return {
    provider,
    key,
    reference,
    state: CredentialState.SERVED,
    required,
    expiresAtMs: BigInt(expiresAtMs ?? 0),
    fingerprint: fingerprint(credential, processKey),
    handle,
    endpoints: endpoints.map(binding),
  };
}

function refused({ provider, key, reference, reason, required }: CredentialRefusal) {
  return { provider, key, reference, reason, required, state: CredentialState.REFUSED };
}
