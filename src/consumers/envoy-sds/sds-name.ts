/** A name that Envoy asks for → what is served under it at this moment. Pure. */
import { secretId } from '../../config/config.ts';
import { MAX_KEY_BYTES } from '../../domain/names.ts';
import { shownName } from '../../domain/shown-name.ts';
import type { CredentialRefusal } from '../../snapshot/refusal.ts';
import type { ServedCredential } from '../../snapshot/resolve.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';

const PREFIX = 'sds://';
/** The prefix, a provider, a slash and a key. */
export const MAX_NAME_BYTES = PREFIX.length + 63 + 1 + MAX_KEY_BYTES;
/** The keys of a Secret of type kubernetes.io/tls. */
const CERTIFICATE_KEY = 'tls.crt';
const PRIVATE_KEY = 'tls.key';
const LINE_BREAKS = [0x0a, 0x0d];

export type SdsContent =
  | { readonly kind: 'value'; readonly credentials: readonly [ServedCredential] }
  | { readonly kind: 'pair'; readonly credentials: readonly [ServedCredential, ServedCredential] }
  /** `pair`: what would be served is a pair, where that is known. */
  | {
      readonly kind: 'nothing';
      readonly reason: string;
      readonly pair?: boolean;
      readonly credential?: CredentialRefusal;
    };

type Item = ServedCredential | CredentialRefusal;

/** What a snapshot has under each environment name. */
const indexes = new WeakMap<Snapshot, ReadonlyMap<string, readonly Item[]>>();

function itemsOf(snapshot: Snapshot, key: string): readonly Item[] {
  let index = indexes.get(snapshot);
  if (index === undefined) {
    index = Map.groupBy<string, Item>([...snapshot.credentials, ...snapshot.refusals], (item) => item.key);
    indexes.set(snapshot, index);
  }
  return index.get(key) ?? [];
}

/** What a caller who may see these providers is served under a name. */
export function contentOf(snapshot: Snapshot, visible: ReadonlySet<string>, name: string): SdsContent {
  const { provider, key } = parseName(name);
  if (provider !== undefined && !visible.has(provider))
    return { kind: 'nothing', reason: 'provider-not-allowed' };
  const items = itemsOf(snapshot, key).filter((item) =>
    provider === undefined ? visible.has(item.provider) : item.provider === provider,
  );
  const served = items.filter((item) => 'value' in item);
  const [credential] = served;
  if (served.length > 1) return { kind: 'nothing', reason: 'ambiguous' };
  if (credential === undefined) return refused(items.find((item) => 'reason' in item));
  if (credential.reference.key === CERTIFICATE_KEY) return pairOf(snapshot, credential);
  // Envoy would answer requests with 503 where a header's value has several lines.
  const value = credential.value.reveal();
  if (LINE_BREAKS.some((byte) => value.includes(byte))) return { kind: 'nothing', reason: 'several-lines' };
  return { kind: 'value', credentials: [credential] };
}

/** One read of the Secret made the snapshot, so certificate and key belong together. */
function pairOf(snapshot: Snapshot, certificate: ServedCredential): SdsContent {
  const { provider, reference } = certificate;
  const key = snapshot.credentials.find(
    (other) =>
      other.provider === provider &&
      other.reference.key === PRIVATE_KEY &&
      secretId(other.reference) === secretId(reference),
  );
  return key === undefined
    ? { kind: 'nothing', reason: 'private-key-not-served', pair: true }
    : { kind: 'pair', credentials: [certificate, key] };
}

function refused(refusal: CredentialRefusal | undefined): SdsContent {
  if (refusal === undefined) return { kind: 'nothing', reason: 'unknown' };
  const { reason, reference } = refusal;
  return { kind: 'nothing', reason, pair: reference.key === CERTIFICATE_KEY, credential: refusal };
}

function parseName(name: string): { readonly provider: string | undefined; readonly key: string } {
  const bare = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;
  const slash = bare.indexOf('/');
  return slash < 0
    ? { provider: undefined, key: bare }
    : { provider: bare.slice(0, slash), key: bare.slice(slash + 1) };
}

/** The name for the audit: whoever configured Envoy may have pasted a token in its place. */
export function auditedName(name: string): string {
  const { provider, key } = parseName(name);
  return provider === undefined ? shownName(key) : `${shownName(provider)}/${shownName(key)}`;
}
