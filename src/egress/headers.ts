/** Envoy's headers ⇄ those of a request that the client library rewrites. A value holds one character per byte. */
import { create } from '@bufbuild/protobuf';
import {
  type HeaderMap,
  type HeaderMutation,
  HeaderMutationSchema,
} from '../gen/envoy/service/ext_proc/v3/external_processor_pb.ts';

export type Headers = readonly (readonly [name: string, value: string])[];

export function readHeaders(map: HeaderMap | undefined): Headers {
  return (map?.headers ?? []).map(({ key, value, rawValue }) => [
    key,
    rawValue.byteLength > 0 ? Buffer.from(rawValue).toString('latin1') : value,
  ]);
}

export function header(headers: Headers, wanted: string): string | undefined {
  return headers.find(([name]) => name === wanted)?.[1];
}

/** What turns one list of headers into the other. Names are in the same order in both. */
export function mutation(before: Headers, after: Headers, remove: readonly string[] = []): HeaderMutation {
  const changed = new Set(after.flatMap(([name, value], at) => (before[at]?.[1] === value ? [] : [name])));
  const sent = (name: string) => before.filter(([other]) => other === name).length;
  return create(HeaderMutationSchema, {
    // A header with two values is removed, and each of them added again.
    removeHeaders: [...remove, ...[...changed].filter((name) => sent(name) > 1)],
    setHeaders: after
      .filter(([name]) => changed.has(name) && !remove.includes(name))
      .map(([key, value]) => ({
        header: { key, rawValue: Buffer.from(value, 'latin1') },
        append: sent(key) > 1,
      })),
  });
}
