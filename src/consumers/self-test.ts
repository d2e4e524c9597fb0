import { create, type DescMethod, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { Rpc } from '../boundary/attacks/types.ts';

/** A call with a request, for the self-test to try. */
export function attempt<M extends DescMethod>(
  { parent, name, input }: M,
  request?: MessageInitShape<M['input']>,
): Rpc {
  const path = `/${parent.typeName}/${name}`;
  return { path, request: toBinary(input, create(input, request)), ours: true };
}
