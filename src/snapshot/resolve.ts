/**
 * Generations + mapping → credentials and refusals. Pure: no I/O, no clock (`now` is an argument). Fail closed:
 * a credential is either complete and allowed, or refused with one reason. A refused credential takes no other with
 * it, unless it is required: then it withholds its provider.
 */
import {
  type Config,
  type Endpoint,
  type ExplicitCredential,
  type SecretReference,
  secretId,
} from '../config/config.ts';
import { MAX_RESPONSE_BYTES } from '../domain/limits.ts';
import type { SecretValue } from '../domain/secret-value.ts';
import { parseTime } from '../domain/time.ts';
import type { KeyRead } from '../sources/source.ts';
import { type Candidate, candidates, EVERY_KEY, readOf, type VolumeReads } from './candidates.ts';
import { deriveHandle } from './handle.ts';
import { nameFault } from './names.ts';
import { referenceAllowed, secretAllowed } from './references.ts';
import { type CredentialRefusal, type RefusalReason, withheldProviders } from './refusal.ts';
import { shareRoom } from './share-room.ts';
import { decodeValue, OPENSHELL_VALUE_BYTES, withoutMark } from './value.ts';

/** A credential that may be served. Owns its value. */
export interface ServedCredential {
  readonly provider: string;
  readonly key: string;
  readonly value: SecretValue;
  readonly reference: SecretReference;
  readonly required: boolean;
  readonly endpoints: readonly Endpoint[];
  /** `<provider>:<key>`. */
  readonly identity: string;
  /** 64 lowercase hex digits; the same for as long as the mapping is. */
  readonly handle: string;
  /** Unix milliseconds; undefined where it has no known end. */
  readonly expiresAtMs: number | undefined;
}

/** What a mapping and a moment make of the mounted Secrets. Sorted by key, then provider. */
export interface Resolution {
  readonly credentials: readonly ServedCredential[];
  readonly refusals: readonly CredentialRefusal[];
  /** Served values above the size that OpenShell's gateway takes, by name. */
  readonly oversize: readonly { readonly provider: string; readonly key: string; readonly bytes: number }[];
  /** Unix milliseconds of the next expiry among the credentials. */
  readonly nextExpiryMs: number | undefined;
}

/** Resolves everything anew. The caller owns the values of the result. */
export function resolve(config: Config, reads: VolumeReads, now: number): Resolution {
  const claims = candidates(config, reads).sort(byKeyThenProvider);
  const losers = claimedTwice(claims);
  const usable: { readonly claim: Candidate; readonly served: ServedCredential }[] = [];
  const refused: { readonly claim: Candidate; readonly refusal: CredentialRefusal }[] = [];
  for (const claim of claims) {
    const outcome = losers.has(claim)
      ? refuse(claim, 'claimed-twice')
      : resolveOne(config, claim, reads, now);
    if ('reason' in outcome) refused.push({ claim, refusal: outcome });
    else usable.push({ claim, served: outcome });
  }
  const fitting = shareRoom(
    usable.map(({ claim, served }) => ({
      item: served,
      provider: served.provider,
      first: claim.required || claim.origin === 'explicit',
      bytes: encodedSize(served),
    })),
    MAX_RESPONSE_BYTES,
  );
  for (const { claim, served } of usable) {
    if (fitting.has(served)) continue;
    served.value.erase();
    refused.push({ claim, refusal: refuse(claim, 'response-too-large') });
  }
  refused.sort((a, b) => byKeyThenProvider(a.claim, b.claim));
  // Another key that the profile takes for the same credential replaces a required one that is refused.
  const refusals = refused.map(({ claim, refusal }) =>
    refusal.required && usable.some(({ served }) => fitting.has(served) && replaces(served, claim))
      ? { ...refusal, required: false }
      : refusal,
  );
  return withhold([...fitting], refusals);
}

/**
 * Withholds each provider of which a required credential is refused, as a whole: what it would serve is erased and
 * refused. Other providers are not affected.
 */
function withhold(usable: readonly ServedCredential[], refusals: readonly CredentialRefusal[]): Resolution {
  const withheld = withheldProviders(refusals);
  const credentials = usable.filter(({ provider }) => !withheld.has(provider));
  const lost = usable.filter(({ provider }) => withheld.has(provider));
  for (const { value } of lost) value.erase();
  return {
    credentials,
    refusals: [...refusals, ...lost.map((credential) => refusalOf(credential, 'provider-withheld'))],
    oversize: credentials
      .map(({ provider, key, value }) => ({ provider, key, bytes: value.byteLength }))
      .filter(({ bytes }) => bytes > OPENSHELL_VALUE_BYTES),
    nextExpiryMs: earliest(credentials.map(({ expiresAtMs }) => expiresAtMs)),
  };
}

/** The refusal of a credential that could be served. It withholds nothing by itself. */
export function refusalOf(
  { provider, key, reference }: ServedCredential,
  reason: RefusalReason,
): CredentialRefusal {
  return { provider, key, reference, required: false, reason };
}

/** Whether what is served is another key that the profile takes for the credential that was refused. */
function replaces(served: ServedCredential, claim: Candidate): boolean {
  return (
    served.provider === claim.provider.name &&
    secretId(served.reference) === secretId(claim.reference) &&
    claim.alternatives.includes(served.reference.key)
  );
}

function byKeyThenProvider(a: Candidate, b: Candidate): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  if (a.provider.name !== b.provider.name) return a.provider.name < b.provider.name ? -1 : 1;
  return a.reference.key < b.reference.key ? -1 : a.reference.key > b.reference.key ? 1 : 0;
}

/** Claims that lose their name: to an explicit one, or to each other, because no order among equals is right. */
function claimedTwice(claims: readonly Candidate[]): ReadonlySet<Candidate> {
  const named = claims.filter(({ key }) => key !== EVERY_KEY);
  const losers = [...Map.groupBy(named, ({ key }) => key).values()].flatMap((rivals) => {
    const [winner, ...equals] =
      rivals.length === 1 ? rivals : rivals.filter(({ origin }) => origin === 'explicit');
    return equals.length === 0 ? rivals.filter((rival) => rival !== winner) : rivals;
  });
  return new Set(losers);
}

function resolveOne(
  config: Config,
  claim: Candidate,
  reads: VolumeReads,
  now: number,
): ServedCredential | CredentialRefusal {
  const { key, reference, required } = claim;
  const { name: provider, endpoints } = claim.provider;
  // The reference is judged first: a Secret that may not be referred to must not leak whether it exists.
  const rules = config.references.allow;
  const allowed =
    reference.key === EVERY_KEY ? secretAllowed(rules, reference) : referenceAllowed(rules, reference);
  if (!allowed) return refuse(claim, 'reference-not-allowed');
  const read = readOf(reads, reference);
  if (read.kind === 'fault') return refuse(claim, read.fault);
  const fault = nameFault(key);
  if (fault !== undefined) return refuse(claim, fault);
  if (endpoints.length === 0) return refuse(claim, 'no-endpoints');
  const found = read.generation.keys.get(reference.key);
  if (found === undefined) return refuse(claim, 'key-missing');
  if (found.kind === 'fault') return refuse(claim, found.fault);
  const expiry = statedExpiry(claim.expiresAt, read.generation.keys);
  if (expiry === 'malformed') return refuse(claim, 'expiry-malformed');

  const decoded = decodeValue(found.value, claim);
  if (decoded.kind === 'refused') return refuse(claim, decoded.reason);
  const expiresAtMs = earliest([expiry, decoded.jwtExpiresAtMs]);
  if (expiresAtMs !== undefined && expiresAtMs <= now) {
    decoded.value.erase();
    return refuse(claim, 'expired');
  }
  const names = { provider, key, reference, endpoints };
  return {
    ...names,
    value: decoded.value,
    required,
    identity: `${provider}:${key}`,
    handle: deriveHandle({ sandbox: config.sandbox, ...names }),
    expiresAtMs,
  };
}

function refuse(claim: Candidate, reason: RefusalReason): CredentialRefusal {
  const { provider, key, reference, required } = claim;
  return { provider: provider.name, key, reference, required, reason };
}

/** The expiry that the operator or a sibling key states. A sibling that is missing or unreadable is malformed: fail closed. */
function statedExpiry(
  source: ExplicitCredential['expiresAt'],
  keys: ReadonlyMap<string, KeyRead>,
): number | undefined | 'malformed' {
  if (source === undefined) return undefined;
  if ('atMs' in source) return source.atMs;
  const sibling = keys.get(source.key);
  // The longest time that parses has 35 bytes; more than a line is somebody's secret under the wrong name.
  if (sibling?.kind !== 'bytes' || sibling.value.byteLength > 64) return 'malformed';
  return parseTime(withoutMark(sibling.value.reveal()).toString('latin1').trim()) ?? 'malformed';
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : known.reduce((a, b) => Math.min(a, b));
}

/** Bytes that a credential takes in a response, rounded up: tags, lengths and times count eight to sixteen a field. */
export function encodedSize(credential: ServedCredential): number {
  const key = credential.key.length + 8;
  const endpoints = credential.endpoints.reduce(
    (sum, { host, path }) => sum + Buffer.byteLength(host) + Buffer.byteLength(path) + 24,
    0,
  );
  return (
    key * (credential.expiresAtMs === undefined ? 3 : 5) +
    (credential.expiresAtMs === undefined ? 0 : 40) +
    credential.value.byteLength +
    credential.provider.length * 2 +
    credential.identity.length +
    64 +
    endpoints +
    64
  );
}
