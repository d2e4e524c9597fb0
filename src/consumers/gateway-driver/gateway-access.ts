/** What a request of a gateway may have at this moment: the reference behind its handle, and the key that is meant. */
import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type SecretReference, secretId } from '../../config/config.ts';
import type { ResolveCredentialRequest } from '../../gen/openshell/credentials/v1/credential_driver_pb.ts';
import { refuse } from '../../socket/calls.ts';
import type { ConsumerHost } from '../consumer.ts';
import { MIN_HANDLE_KEY_BYTES, openHandle } from './gateway-handle.ts';
import { type GatewayReference, permitted } from './gateway-reference.ts';
import { gatewayRefusal } from './gateway-refusal.ts';
import { auditedRequest, bindingOf, type GatewayFields } from './gateway-request.ts';
import type { GatewaySettings } from './settings.ts';

/** What is in force at this moment: a reload and a rotation change it. */
export interface GatewayDriver extends Pick<ConsumerHost, 'audit' | 'config' | 'reads' | 'state'> {
  readonly settings: () => GatewaySettings;
}

/** What is behind a handle, which we must have sealed for this very credential. */
export function open(driver: GatewayDriver, request: ResolveCredentialRequest): GatewayReference {
  const reference = openHandle(bindingOf(request), request.handle?.handle ?? '', handleKeys(driver));
  return reference ?? refuse(gatewayRefusal({ kind: 'handle-not-valid', request: auditedRequest(request) }));
}

/** The key that is meant by a reference, if it may be referred to at this moment. */
export function meant(
  { config, settings }: GatewayDriver,
  { workspace }: GatewayFields,
  reference: GatewayReference,
): SecretReference | undefined {
  return permitted(settings().workspaces, config().references.allow, workspace, reference);
}

/** The keys that are mounted now. The first makes new handles, so it must exist; an old one may be gone. */
export function handleKeys({ settings, reads }: GatewayDriver): [Buffer, ...Buffer[]] {
  const mounted = reads();
  const keys = settings().handleKeys.map((reference) => {
    const read = mounted.get(secretId(reference));
    const key = read?.kind === 'generation' ? read.generation.keys.get(reference.key) : undefined;
    return key?.kind === 'bytes' ? key.value.reveal() : undefined;
  });
  const [first, ...older] = keys;
  if (first === undefined) refuse(gatewayRefusal({ kind: 'handle-key-unusable', why: 'it is not mounted' }));
  if (keys.some((key) => key !== undefined && key.byteLength < MIN_HANDLE_KEY_BYTES)) {
    const why = `it has fewer than ${MIN_HANDLE_KEY_BYTES} bytes`;
    refuse(gatewayRefusal({ kind: 'handle-key-unusable', why }));
  }
  return [first, ...older.filter((key) => key !== undefined)];
}

export function encode<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Buffer {
  const encoded = toBinary(schema, create(schema, init));
  return Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
}
