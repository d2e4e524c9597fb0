/**
 * Resolves a placeholder to a value, for one destination and one point in time. No I/O, no clock.
 *
 * Every credential of this resolver is bound to endpoints. As in OpenShell, a canonical placeholder, or an alias that
 * carries only a key, does not resolve unless the caller opts in. A stable handle resolves to the current value,
 * whatever the revision. A revision resolves while it is current. OpenShell keeps old revisions and their values for
 * eight generations. Here the old value is erased when its Secret rotates, so an old revision is refused instead of
 * resolving to a value that it never named.
 */
import type { ProvidedCredential, ProviderEnvironment } from './environment.ts';
import { type CredentialName, nameOf, parsePlaceholder } from './placeholder.ts';
import { type Destination, matchEndpoints } from './placeholder-endpoint.ts';
import { hasMarker } from './placeholder-marker.ts';
import { type Location, type Refusal, refuse } from './placeholder-refusal.ts';

/** A value that may be sent in the request. `text` is secret. */
export interface Resolved {
  readonly kind: 'resolved';
  readonly key: string;
  readonly text: string;
}

/** The snapshot to look a token up in, and the request it is for. */
export interface LookupContext {
  readonly environment: ProviderEnvironment | undefined;
  readonly acceptCanonical: boolean;
  readonly destination: Destination;
  /** Unix milliseconds. */
  readonly now: number;
}

/** Resolves one token of a request. */
export function lookUp(token: string, location: Location, context: LookupContext): Resolved | Refusal {
  const { environment, destination, now } = context;
  const placeholder = parsePlaceholder(token);
  if (placeholder === undefined) return refuse('malformed-placeholder', location);
  const name = nameOf(placeholder);
  if (environment === undefined) return refuse('no-snapshot', location, name.key);
  const credential = environment.credentials.get(name.key);
  if (credential === undefined) return refuse('unknown-credential', location, name.key);
  const fault =
    faultOfName(name, credential, environment.revision, context.acceptCanonical) ??
    faultOfUse(credential, destination, now);
  return fault === undefined ? valueFor(credential, location) : refuse(fault, location, name.key);
}

function faultOfName(
  name: CredentialName,
  credential: ProvidedCredential,
  revision: bigint,
  acceptCanonical: boolean,
) {
  switch (name.form) {
    case 'canonical':
      return acceptCanonical ? undefined : 'canonical-form';
    case 'revision':
      return name.revision === revision ? undefined : 'stale-revision';
    case 'handle':
      return name.handle === credential.handle ? undefined : 'wrong-handle';
  }
}

function faultOfUse(credential: ProvidedCredential, destination: Destination, now: number) {
  if (credential.endpoints.length === 0) return 'no-endpoint';
  const match = matchEndpoints(credential.endpoints, destination);
  if (match !== 'match') return match;
  return credential.expiresAtMs !== undefined && credential.expiresAtMs <= now ? 'expired' : undefined;
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function valueFor(credential: ProvidedCredential, location: Location): Resolved | Refusal {
  const { key } = credential;
  if (credential.value.byteLength === 0) return refuse('unusable-value', location, key);
  let text: string;
  try {
    text = UTF_8.decode(credential.value.reveal());
  } catch {
    return refuse('unusable-value', location, key);
  }
  const forbidden = location === 'header' ? /[\x00-\x08\x0a-\x1f\x7f]/ : /[\r\n\0]/;
  if (forbidden.test(text)) return refuse('control-character-in-value', location, key);
  if (location === 'path' && /\.\.|[/\\?#]/.test(text)) return refuse('value-changes-path', location, key);
  // A value that looks like a placeholder would be sent as an unresolved marker.
  if (hasMarker(text)) return refuse('unresolved-marker', location, key);
  return { kind: 'resolved', key, text };
}
