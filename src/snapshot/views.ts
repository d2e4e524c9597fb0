/**
 * Snapshots as one caller may see them, encoded once. A view belongs to one snapshot and one set of providers;
 * all callers with that set get the same buffer.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Sandbox } from '../config/config.ts';
import { OwnedBytes } from '../domain/owned-bytes.ts';
import { EnvironmentEncoder } from './environment-encoder.ts';
import { KeptViews } from './kept-views.ts';
import { type CredentialRefusal, withheldProviders } from './refusal.ts';
import type { ServedCredential } from './resolve.ts';
import type { Snapshot } from './snapshot.ts';

/** Field number of `provider_env_revision`. */
const REVISION_FIELD = 2;
/** Bytes of that field at most: a tag, and 64 bits at seven a byte. */
const MAX_REVISION_BYTES = 11;

export interface Withholding extends Pick<CredentialRefusal, 'provider' | 'key' | 'reference'> {
  /** A reason of ours, or a rule of the consumer's. */
  readonly reason: string;
}

export interface View {
  /** Never 0. */
  readonly revision: bigint;
  readonly credentials: readonly ServedCredential[];
  readonly refusals: readonly CredentialRefusal[];
  /** The required credential whose refusal withholds every provider of this view, if so. */
  readonly withheldBy: Withholding | undefined;
  /** A `ProviderEnvironment`, ready for the wire. */
  readonly message: OwnedBytes;
}

export class Views {
  readonly #encoder: EnvironmentEncoder;
  readonly #processKey: KeyObject;
  readonly #kept = new KeptViews<View>();

  constructor(sandbox: Sandbox, processKey: Buffer) {
    this.#encoder = new EnvironmentEncoder(sandbox);
    this.#processKey = createSecretKey(processKey);
  }

  of(snapshot: Snapshot, providers: readonly string[]): View {
    return this.#kept.of(snapshot, providers, () => {
      const wanted = new Set(providers);
      return this.encode(
        wanted,
        snapshot.credentials.filter(({ provider }) => wanted.has(provider)),
        snapshot.refusals.filter(({ provider }) => wanted.has(provider)),
      );
    });
  }

  /** Overwrites the encoded values of a snapshot that was replaced. */
  retire(snapshot: Snapshot | undefined): void {
    this.#kept.retire(snapshot);
  }

  /** A view of these credentials and refusals of some providers. The caller keeps it, or it is encoded again. */
  encode(
    providers: ReadonlySet<string>,
    credentials: readonly ServedCredential[],
    refusals: readonly CredentialRefusal[],
  ): View {
    const withheld = withheldProviders(refusals);
    const withheldBy = withheld.size === providers.size ? withheld.values().next().value : undefined;
    // Everything but the revision, which is made of it and stands behind it.
    const { buffer, length } = this.#encoder.encode(credentials, refusals, MAX_REVISION_BYTES);
    const revision = this.#revision(buffer.subarray(0, length));
    const tail = new BinaryWriter().tag(REVISION_FIELD, WireType.Varint).uint64(revision).finish();
    buffer.set(tail, length);
    return {
      revision,
      credentials,
      refusals,
      withheldBy,
      message: new OwnedBytes(buffer.subarray(0, length + tail.length)),
    };
  }

  /**
   * 64 bits of an HMAC under a random key of this process. It changes when the content does (two contents share
   * one with a chance of 2^-64), tells nothing about values to whoever sees it in a placeholder, and is never 0.
   */
  #revision(content: Uint8Array): bigint {
    const digest = createHmac('sha256', this.#processKey).update('revision\0').update(content).digest();
    const revision = digest.readBigUInt64BE(0);
    return revision === 0n ? 1n : revision;
  }
}
