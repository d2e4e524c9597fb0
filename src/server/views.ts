/**
 * Snapshots as one caller may see them, encoded once. A view belongs to one snapshot and one set of providers;
 * all callers with that set get the same buffer.
 */
import { createHmac } from 'node:crypto';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Sandbox } from '../config/config.ts';
import {
  CredentialRefusalSchema,
  ProviderEnvironmentSchema,
  StaticCredentialBindingSchema,
} from '../gen/secretresolver/v1/resolver_pb.ts';
import type { CredentialRefusal } from '../resolve/refusal.ts';
import type { ServedCredential } from '../resolve/resolve.ts';
import type { Snapshot } from '../resolve/snapshot.ts';
import { KeptViews } from './kept-views.ts';

/**
 * Refusals in one response; the audit has all of them. With the longest names one takes 350 bytes, and 256 KiB
 * of a response are kept free for them.
 */
const MAX_SERVED_REFUSALS = 500;
/** Field number of `provider_env_revision`. */
const REVISION_FIELD = 2;

export interface View {
  /** Never 0. */
  readonly revision: bigint;
  readonly credentials: readonly ServedCredential[];
  readonly refusals: readonly CredentialRefusal[];
  /** A `ProviderEnvironment`, ready for the wire. */
  readonly bytes: Buffer;
}

export class Views {
  readonly #sandbox: Sandbox;
  readonly #processKey: Buffer;
  readonly #kept = new KeptViews<View>();

  constructor(sandbox: Sandbox, processKey: Buffer) {
    this.#sandbox = sandbox;
    this.#processKey = processKey;
  }

  /** The view of a set of providers. */
  of(snapshot: Snapshot, providers: readonly string[]): View {
    return this.#kept.of(snapshot, providers, () => {
      const wanted = new Set(providers);
      return this.encode(
        snapshot.credentials.filter(({ provider }) => wanted.has(provider)),
        snapshot.refusals.filter(({ provider }) => wanted.has(provider)),
      );
    });
  }

  /** Overwrites the encoded values of a snapshot that was replaced. */
  retire(snapshot: Snapshot): void {
    this.#kept.retire(snapshot);
  }

  /** A view of these credentials and refusals. The caller keeps it, or it is encoded again. */
  encode(credentials: readonly ServedCredential[], refusals: readonly CredentialRefusal[]): View {
    // Everything but the revision, in one order: equal content is equal bytes.
    const content = toBinary(ProviderEnvironmentSchema, this.#message(credentials, refusals));
    const revision = this.#revision(content);
    const tail = new BinaryWriter().tag(REVISION_FIELD, WireType.Varint).uint64(revision).finish();
    const bytes = Buffer.from(new ArrayBuffer(content.byteLength + tail.byteLength));
    bytes.set(content);
    bytes.set(tail, content.byteLength);
    content.fill(0);
    return { revision, credentials, refusals, bytes };
  }

  #message(credentials: readonly ServedCredential[], refusals: readonly CredentialRefusal[]) {
    const message = create(ProviderEnvironmentSchema, { sandbox: this.#sandbox });
    for (const credential of credentials) {
      message.environment[credential.key] = credential.value.reveal() as Uint8Array<ArrayBuffer>;
      message.credentialProviders[credential.key] = credential.provider;
      if (credential.expiresAtMs !== undefined) {
        message.credentialExpiresAtMs[credential.key] = BigInt(credential.expiresAtMs);
      }
      message.staticCredentialBindings[credential.key] = create(StaticCredentialBindingSchema, {
        endpoints: credential.endpoints.map(({ host, port, path }) => ({ host, port, path })),
        credentialIdentity: credential.identity,
        workloadCredentialHandle: credential.handle,
      });
    }
    message.refusals = refusals
      .slice(0, MAX_SERVED_REFUSALS)
      .map(({ provider, key, reason, required }) =>
        create(CredentialRefusalSchema, { provider, key, reason, required }),
      );
    return message;
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
