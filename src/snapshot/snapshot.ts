/** The current resolution, who wants to know of the next one, and what changed between two. */
import { createHmac } from 'node:crypto';
import type { SecretReference } from '../config/config.ts';
import type { CredentialRefusal, RefusalReason } from './refusal.ts';
import type { Resolution, ServedCredential } from './resolve.ts';

/** Milliseconds between the replacement of a snapshot and the overwriting of its values: long enough for any write that began with it. */
export const ERASE_AFTER_MS = 1_000;

export interface Snapshot extends Resolution {
  /** `performance.now()` of the read that caused it: the start of every lag. */
  readonly mountedAt: number;
}

/** `handle-changed`: the mapping or the endpoints are others, so that placeholders made from the old handle are dead. */
type ChangeKind = 'loaded' | 'rotated' | 'handle-changed' | 'revoked' | 'refused';

export interface CredentialChange extends Omit<CredentialRefusal, 'reason'> {
  readonly kind: ChangeKind;
  /** Why it is refused or was revoked. */
  readonly reason: RefusalReason | undefined;
}

/** Told of a snapshot that is in force from now on, and of the one that it replaces. */
type Subscriber = (snapshot: Snapshot, before: Snapshot | undefined) => void;

/** Holds the newest snapshot. Subscribers learn of each one, in order, synchronously. */
export class SnapshotStore {
  #current: Snapshot | undefined;
  readonly #subscribers = new Set<Subscriber>();

  current(): Snapshot | undefined {
    return this.#current;
  }

  get subscriberCount(): number {
    return this.#subscribers.size;
  }

  /** Puts a snapshot in force. The values of the one before are overwritten {@link ERASE_AFTER_MS} later. */
  publish(snapshot: Snapshot): void {
    const before = this.#current;
    this.#current = snapshot;
    for (const subscriber of [...this.#subscribers]) subscriber(snapshot, before);
    if (before !== undefined) setTimeout(() => eraseSnapshot(before), ERASE_AFTER_MS).unref();
  }

  /** Withdraws everything, at once: from now on there is no snapshot. */
  drop(): void {
    const before = this.#current;
    this.#current = undefined;
    if (before !== undefined) eraseSnapshot(before);
  }

  subscribe(subscriber: Subscriber): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }
}

export function eraseSnapshot(snapshot: Resolution): void {
  for (const { value } of snapshot.credentials) value.erase();
}

/** Whether a caller could tell the two apart. */
export function sameResolution(a: Resolution, b: Resolution): boolean {
  return (
    a.credentials.length === b.credentials.length &&
    a.refusals.length === b.refusals.length &&
    a.credentials.every((credential, index) => sameCredential(credential, b.credentials[index])) &&
    a.refusals.every((refusal, index) => sameRefusal(refusal, b.refusals[index]))
  );
}

function sameCredential(a: ServedCredential, b: ServedCredential | undefined): boolean {
  // The handle covers provider, key, reference and endpoints.
  return (
    b !== undefined &&
    a.handle === b.handle &&
    a.required === b.required &&
    a.expiresAtMs === b.expiresAtMs &&
    a.value.equals(b.value)
  );
}

function sameRefusal(a: CredentialRefusal, b: CredentialRefusal | undefined): boolean {
  return b !== undefined && itemId(a) === itemId(b) && a.reason === b.reason && a.required === b.required;
}

/**
 * Tells an item from every other one of its snapshot, and sorts by provider, then key. None of the names can hold a
 * NUL: they come from file names, or are checked when the configuration is loaded.
 */
export function itemId(item: { provider: string; key: string; reference: SecretReference }): string {
  const { namespace, name, key } = item.reference;
  return `${item.provider}\0${item.key}\0${namespace}\0${name}\0${key}`;
}

export function changes(before: Resolution | undefined, after: Resolution): CredentialChange[] {
  // A name is served once, whichever Secret it comes from.
  const served = new Map((before?.credentials ?? []).map((credential) => [nameOf(credential), credential]));
  const refused = new Map((before?.refusals ?? []).map((refusal) => [itemId(refusal), refusal.reason]));
  const found: CredentialChange[] = [];
  const change = (
    kind: ChangeKind,
    { provider, key, reference, required }: ServedCredential | CredentialRefusal,
    reason?: RefusalReason,
  ) => {
    found.push({ kind, provider, key, reference, required, reason });
  };
  for (const credential of after.credentials) {
    const old = served.get(nameOf(credential));
    if (old === undefined) change('loaded', credential);
    else if (old.handle !== credential.handle) change('handle-changed', credential);
    else if (!sameCredential(old, credential)) change('rotated', credential);
    served.delete(nameOf(credential));
  }
  for (const refusal of after.refusals) {
    if (served.delete(nameOf(refusal))) change('revoked', refusal, refusal.reason);
    else if (refused.get(itemId(refusal)) !== refusal.reason) change('refused', refusal, refusal.reason);
  }
  // Served before, and now neither served nor refused: a key that a bulk source no longer has.
  for (const credential of served.values()) change('revoked', credential, 'key-missing');
  return found;
}

function nameOf({ provider, key }: { readonly provider: string; readonly key: string }): string {
  return `${provider}\0${key}`;
}

/** A fingerprint that people may see: keyed, so that it cannot be tried against guesses, and 16 hex digits long. */
export function fingerprint(credential: ServedCredential, processKey: Buffer): string {
  return createHmac('sha256', processKey)
    .update('fingerprint\0')
    .update(credential.value.reveal())
    .digest('hex')
    .slice(0, 16);
}
