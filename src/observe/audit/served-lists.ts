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

/** The record of one caller that named them all. */
interface Listed {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** What the records after it say. */
  readonly facts: Facts;
}

export class ServedLists {
  /** Credentials, in the words of a record. Both are kept as long as somebody else keeps the list itself. */
  readonly #plain = new WeakMap<readonly AuditedCredential[], Facts>();
  /** By caller. */
  readonly #listed = new WeakMap<readonly AuditedCredential[], Map<string, Listed>>();

  /**
   * What the record of this serve says: the credentials, or when a record of the same caller and revision said them.
   * The same object for as long as it says the same.
   */
  facts(caller: AuditedCaller, credentials: readonly AuditedCredential[], now: number): Facts {
    if (credentials.length > ALWAYS_LISTED) {
      const key = `${caller.uid} ${caller.name}`;
      let listed = this.#listed.get(credentials);
      if (listed === undefined) {
        listed = new Map();
        this.#listed.set(credentials, listed);
      }
      const last = listed.get(key);
      // A clock that was set back must not keep a list away.
      if (last !== undefined && now >= last.at && now - last.at < LIST_AGAIN_MS) return last.facts;
      if (last !== undefined || listed.size < MAX_CALLERS) {
        const facts = { credentials_count: credentials.length, credentials_listed_at: now };
        listed.set(key, { at: now, facts });
      }
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
    let plain = this.#plain.get(credentials);
    if (plain === undefined) {
      plain = { credentials: credentials.map(plainCredential) };
      this.#plain.set(credentials, plain);
    }
    return plain;
  }
}
