/** The two calls of `envoy.service.secret.v3.SecretDiscoveryService`. */
import { fromBinary } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { printable } from '../../domain/printable.ts';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  SecretDiscoveryService,
} from '../../gen/envoy/service/secret/v3/sds_pb.ts';
import { countRequest, parse, refuse } from '../../socket/calls.ts';
import type { PeerConnection } from '../../socket/connections.ts';
import { type Method, streaming } from '../../socket/method.ts';
import { socketRefusal } from '../../socket/refusal.ts';
import type { UidUsage } from '../../socket/usage.ts';
import { providersFor } from '../environment.ts';
import { WatchedConsumer } from '../watch.ts';
import { TYPE_URL } from './sds-encode.ts';
import { MAX_NAME_BYTES } from './sds-name.ts';
import { SdsStream, type SdsStreamOptions } from './sds-stream.ts';

/** Envoy lists its extensions in the first request: 61 KB in 1.40, 3 KB more in each release, and Istio adds metadata. */
const REQUEST_BYTES = 1024 * 1024;
/** Characters of a node's id in the audit. */
const MAX_NODE_LENGTH = 128;

/** Fields of a request besides the names and, after a reconnect, the version of each. */
const OTHER_FIELDS = 64;

/** Unknown fields are nearly all of a request, and are not kept. */
const READ = { readUnknownFields: false } as const;

type Request = DiscoveryRequest | DeltaDiscoveryRequest;

export class SdsService extends WatchedConsumer<SdsStream> {
  readonly methods = [this.#method('StreamSecrets', false), this.#method('DeltaSecrets', true)];
  /** Names that the streams of a UID want: as many as it may have watches. */
  readonly #names = new WeakMap<UidUsage, number>();

  recheck = (): void => {
    for (const stream of [...this.open]) stream.recheck();
  };

  #method(name: string, delta: boolean): Method {
    const method: Method = streaming(
      SecretDiscoveryService.typeName,
      name,
      (connection, stream) => {
        // Refuses a caller that may see names only.
        providersFor(this.host, connection, []);
        this.#accept({ host: this.host, call: method.audited, connection, stream, delta });
      },
      REQUEST_BYTES,
    );
    return method;
  }

  #accept(options: SdsStreamOptions): void {
    const { connection, stream } = options;
    this.count(connection, stream);
    const opened = new SdsStream(options);
    stream.onClose(() => this.#countNames(connection.usage, -opened.names.size));
    this.add(opened, stream);
    stream.receive((bytes) => {
      try {
        if (hasMoreFields(bytes, 2 * this.host.limits.watchesPerUid + OTHER_FIELDS))
          refuse(socketRefusal({ kind: 'too-many-watches' }));
        this.#take(opened, connection, readRequest(bytes, options.delta));
      } catch (error) {
        // The call ends with this error.
        opened.withdraw();
        throw error;
      }
    });
  }

  #take(stream: SdsStream, connection: PeerConnection, request: Request): void {
    if (request.typeUrl !== '' && request.typeUrl !== TYPE_URL)
      refuse(socketRefusal({ kind: 'malformed-request', what: 'type_url' }));
    if (request.node !== undefined) stream.node = printable(request.node.id).slice(0, MAX_NODE_LENGTH);
    const { responseNonce: nonce } = request;
    const acknowledged = stream.acknowledge(nonce, request.errorDetail?.code);
    const { names, again } = wanted(stream, request);
    const before = stream.names;
    if (names.size === before.size && again.length === 0 && [...names].every((name) => before.has(name))) {
      // There are as many acknowledgements as responses; whatever else changes nothing costs a call.
      if (!acknowledged) countRequest(connection);
      return;
    }
    countRequest(connection);
    if ([...names].some((name) => Buffer.byteLength(name) > MAX_NAME_BYTES))
      refuse(socketRefusal({ kind: 'malformed-request', what: 'name of a secret' }));
    this.#countNames(connection.usage, names.size - before.size);
    stream.want(names, again);
  }

  #countNames(usage: UidUsage, names: number): void {
    const sum = (this.#names.get(usage) ?? 0) + names;
    if (names > 0 && sum > this.host.limits.watchesPerUid)
      refuse(socketRefusal({ kind: 'too-many-watches' }));
    this.#names.set(usage, sum);
  }
}

/** Asked before anything is parsed: half a million names of no length fit into a request, and take 90 ms. */
function hasMoreFields(bytes: Buffer, most: number): boolean {
  return parse('DiscoveryRequest', () => {
    const reader = new BinaryReader(bytes);
    for (let fields = 0; reader.pos < reader.len; fields++) {
      if (fields === most) return true;
      const [field, wireType] = reader.tag();
      reader.skip(wireType, field);
    }
    return false;
  });
}

function readRequest(bytes: Buffer, delta: boolean): Request {
  return parse('DiscoveryRequest', () =>
    delta
      ? fromBinary(DeltaDiscoveryRequestSchema, bytes, READ)
      : fromBinary(DiscoveryRequestSchema, bytes, READ),
  );
}

/** The names that a stream wants from now on, and those of them that it asks for again. */
function wanted(
  stream: SdsStream,
  request: Request,
): { readonly names: ReadonlySet<string>; readonly again: readonly string[] } {
  if ('resourceNames' in request) {
    // A request that crossed a response on its way is followed by one that has seen it.
    const stale = request.responseNonce !== '' && request.responseNonce !== stream.nonce;
    return { names: stale ? stream.names : new Set(request.resourceNames), again: [] };
  }
  const again = request.resourceNamesSubscribe;
  const removed = new Set(request.resourceNamesUnsubscribe);
  const names = new Set([...stream.names].filter((name) => !removed.has(name)));
  for (const name of again) names.add(name);
  return { names, again };
}
