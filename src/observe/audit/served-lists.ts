/**
 * Which credentials a record of a serve names. A caller that polls for a thousand of them would have a hundred
 * kilobytes written down each time; so a long list is written once for each caller, and the records that follow say
 * when. Pure but for what it remembers.
 */
import { type AuditedCaller, type AuditedCredential, plainCredential } from './record.ts';

/** Credentials that every record names itself: its line stays within the 4096 bytes that a pipe takes as one. */
export const ALWAYS_LISTED = 16;
/** Milliseconds after which a long list is written again: whoever keeps so much of the audit can tell every serve in it. */
export const LIST_AGAIN_MS = 300_000;
/** Callers that are remembered for one list; beyond that each record has it. */
const MAX_CALLERS = 1_024;

type Facts = Readonly<Record<string, unknown>>;

export class ServedLists {
  /** Credentials in the words of a record, kept with the list itself: whatever waits for an acknowledgement shares them. */
  readonly #plain = new WeakMap<readonly AuditedCredential[], Facts>();
  /** When a record of each caller named them all, for as long as somebody else keeps the list itself. */
  readonly #listedAt = new WeakMap<readonly AuditedCredential[], Map<string, number>>();

  /** What the record of this serve says: the credentials, or when a record of the same caller and revision said them. */
  facts(caller: AuditedCaller, credentials: readonly AuditedCredential[], now: number): Facts {
    if (credentials.length > ALWAYS_LISTED) {
      const key = `${caller.uid} ${caller.name}`;
      const listedAt = this.#listedAt.get(credentials) ?? new Map<string, number>();
      this.#listedAt.set(credentials, listedAt);
      const last = listedAt.get(key);
      // A clock that was set back must not keep a list away.
      if (last !== undefined && now >= last && now - last < LIST_AGAIN_MS)
        return { credentials_count: credentials.length, credentials_listed_at: last };
      if (last !== undefined || listedAt.size < MAX_CALLERS) listedAt.set(key, now);
    }
    return this.#plainOf(credentials);
  }

  /** What a record says that follows one of a serve: the credentials, where they are few, or their number. */
  short(credentials: readonly AuditedCredential[]): Facts {
    return credentials.length > ALWAYS_LISTED
      ? { credentials_count: credentials.length }
      : this.#plainOf(credentials);
  }

  #plainOf(credentials: readonly AuditedCredential[]): Facts {
    const plain = this.#plain.get(credentials) ?? { credentials: credentials.map(plainCredential) };
    this.#plain.set(credentials, plain);
    return plain;
  }
}
