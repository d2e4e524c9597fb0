/** Secrets → a response on the wire. Each value is copied once, to where it is sent from. */
import { createHmac } from 'node:crypto';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { OwnedBytes } from '../../domain/owned-bytes.ts';
import type { SdsContent } from './sds-name.ts';

export const TYPE_URL = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

/** What is sent under a name. Its version changes if and only if that does. */
export interface SdsSecret {
  readonly name: string;
  readonly content: SdsContent;
  readonly isPair: boolean;
  readonly version: bigint;
}

/** The bytes that a name stands for: one value, a certificate and its key, or none. */
export function valuesOf(content: SdsContent): readonly Buffer[] {
  return content.kind === 'nothing' ? [] : content.credentials.map(({ value }) => value.reveal());
}

/** A message in pieces, so that what is inside another one is not copied. */
type Pieces = readonly Uint8Array[];

const sizeOf = (pieces: Pieces): number => pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
const text = (value: string): Pieces => [Buffer.from(value)];

function field(number: number, ...contents: readonly Pieces[]): Pieces {
  const pieces = contents.flat();
  const head = new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(sizeOf(pieces)).finish();
  return [head, ...pieces];
}

/** An Any with a Secret in it. */
function typedSecret({ name, content, isPair }: SdsSecret): Pieces {
  const source = (number: number, value: Uint8Array) => field(number, field(2, [value]));
  const [first = new Uint8Array(0), second = new Uint8Array(0)] = valuesOf(content);
  const secret = isPair ? field(2, source(1, first), source(2, second)) : field(5, source(1, first));
  return [...field(1, text(TYPE_URL)), ...field(2, field(1, text(name)), secret)];
}

/** A DiscoveryResponse, or a DeltaDiscoveryResponse, which differs in its resources only. */
export function encodeResponse(
  secrets: readonly SdsSecret[],
  { version, nonce, delta }: { readonly version: bigint; readonly nonce: string; readonly delta: boolean },
): OwnedBytes {
  const resources = secrets.map((secret) => {
    const any = typedSecret(secret);
    if (!delta) return field(2, any);
    return field(2, field(1, text(String(secret.version))), field(2, any), field(3, text(secret.name)));
  });
  const pieces = [
    ...field(1, text(String(version))),
    ...resources.flat(),
    ...field(4, text(TYPE_URL)),
    ...field(5, text(nonce)),
  ];
  return new OwnedBytes(Buffer.concat(pieces));
}

/** 64 bits of an HMAC under a random key of this process: it says nothing about values, and changes when they do. */
export function versionOf(processKey: Buffer, contents: readonly Uint8Array[]): bigint {
  const hmac = createHmac('sha256', processKey).update('sds\0');
  for (const content of contents) hmac.update(`${content.byteLength}\0`).update(content);
  return hmac.digest().readBigUInt64BE(0);
}
