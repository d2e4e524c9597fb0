/**
 * Credentials → a `ProviderEnvironment` on the wire. A rotation changes values and nothing else, so all else that is
 * said of a credential is encoded once and kept; and each value is copied once, to where it is sent from.
 *
 * In protobuf messages that stand behind one another are one message. So this writes, for each credential, its entry
 * of `environment` and then what was kept, and at the end what is said of no credential that is served.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Endpoint, Sandbox } from '../config/config.ts';
import { speaksTls } from '../domain/endpoint.ts';
import { ProviderEnvironmentSchema } from '../gen/secretresolver/v1/resolver_pb.ts';
import type { CredentialRefusal } from './refusal.ts';
import type { ServedCredential } from './resolve.ts';

/**
 * Refusals in one response; the audit has all of them. With the longest names one takes 350 bytes, and 256 KiB
 * of a response are kept free for them.
 */
const MAX_SERVED_REFUSALS = 500;
/** Credentials that are kept encoded, at about 300 bytes each. Beyond that all are forgotten. */
const MAX_KEPT = 20_000;

const delimited = (field: number): number => (field << 3) | WireType.LengthDelimited;
/** `map<string, bytes> environment = 1`: an entry is a message of a key and a value. */
const ENTRY_TAG = delimited(1);
const KEY_TAG = delimited(1);
const VALUE_TAG = delimited(2);

/** All that is said of one credential but its value. */
interface Kept {
  readonly expiresAtMs: number | undefined;
  readonly key: Buffer;
  readonly message: Uint8Array;
}

export class EnvironmentEncoder {
  readonly #sandbox: Sandbox;
  /** By handle, which stands for everything that is kept but the expiry. */
  readonly #kept = new Map<string, Kept>();

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
  }

  /** The message in a buffer of its own, with `room` bytes free behind it. Equal content is equal bytes. */
  encode(
    credentials: readonly ServedCredential[],
    refusals: readonly CredentialRefusal[],
    room: number,
  ): { readonly buffer: Buffer; readonly length: number } {
    const entries = credentials.map((credential) => {
      const value = credential.value.reveal();
      const kept = this.#keep(credential);
      return { kept, value, size: fieldSize(kept.key.length) + fieldSize(value.length) };
    });
    const rest = this.#rest(refusals);
    const length = entries.reduce(
      (sum, { kept, size }) => sum + fieldSize(size) + kept.message.length,
      rest.length,
    );
    const buffer = Buffer.from(new ArrayBuffer(length + room));
    let at = 0;
    for (const { kept, value, size } of entries) {
      at = writeVarint(buffer, writeVarint(buffer, at, ENTRY_TAG), size);
      at = writeField(buffer, at, KEY_TAG, kept.key);
      at = writeField(buffer, at, VALUE_TAG, value);
      buffer.set(kept.message, at);
      at += kept.message.length;
    }
    buffer.set(rest, at);
    return { buffer, length };
  }

  #keep(credential: ServedCredential): Kept {
    const known = this.#kept.get(credential.handle);
    if (known !== undefined && known.expiresAtMs === credential.expiresAtMs) return known;
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    const kept = encodeNames(credential);
    this.#kept.set(credential.handle, kept);
    return kept;
  }

  #rest(refusals: readonly CredentialRefusal[]): Uint8Array {
    return toBinary(
      ProviderEnvironmentSchema,
      create(ProviderEnvironmentSchema, {
        sandbox: this.#sandbox,
        refusals: refusals
          .slice(0, MAX_SERVED_REFUSALS)
          .map(({ provider, key, reason, required }) => ({ provider, key, reason, required })),
      }),
    );
  }
}

export function binding(endpoint: Endpoint) {
  const { host, port, path } = endpoint;
  return { host, port, path, plainHttp: !speaksTls(endpoint) };
}

function encodeNames({ key, provider, endpoints, identity, handle, expiresAtMs }: ServedCredential): Kept {
  const message = create(ProviderEnvironmentSchema, {
    credentialProviders: { [key]: provider },
    ...(expiresAtMs !== undefined && {
      credentialExpiresAtMs: { [key]: BigInt(expiresAtMs) },
      credentialExpirationTimes: { [key]: timestampFromMs(expiresAtMs) },
    }),
    staticCredentialBindings: {
      [key]: {
        endpoints: endpoints.map(binding),
        credentialIdentity: identity,
        workloadCredentialHandle: handle,
      },
    },
  });
  return { expiresAtMs, key: Buffer.from(key), message: toBinary(ProviderEnvironmentSchema, message) };
}

/** Bytes of a field with this content: a tag below 16, the length, the content. */
function fieldSize(length: number): number {
  let size = 2 + length;
  for (let left = length; left > 0x7f; left >>>= 7) size += 1;
  return size;
}

function writeField(buffer: Buffer, at: number, tag: number, bytes: Uint8Array): number {
  const from = writeVarint(buffer, writeVarint(buffer, at, tag), bytes.length);
  buffer.set(bytes, from);
  return from + bytes.length;
}

/** Seven bits a byte, the lowest first; the eighth says that more follow. Returns where the next byte goes. */
function writeVarint(buffer: Buffer, at: number, value: number): number {
  let next = at;
  let left = value;
  for (; left > 0x7f; left >>>= 7) buffer[next++] = (left & 0x7f) | 0x80;
  buffer[next++] = left;
  return next;
}
