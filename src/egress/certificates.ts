/** Envoy's secret discovery service, for certificates: one for each name that the agent's TLS asks for and that is listed. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '../gen/envoy/service/secret/v3/sds_pb.ts';
import type { GrpcCall } from '../socket/grpc-call.ts';
import { Status } from '../socket/grpc-status.ts';
import type { ThrowAwayAuthority } from './authority.ts';
import type { Current } from './current.ts';

/**
 * Names that have a certificate at a time, beside those that a provider writes: Envoy keeps what it asked for once, with a
 * stream for each, and an agent may ask for whatever a pattern matches. Envoy opens 1,024 streams.
 */
export const MAX_NAMES = 500;

const TYPE_URL = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

export class Certificates {
  readonly #authority: ThrowAwayAuthority;
  readonly #current: Current;
  /** Names that match a pattern and have a certificate, over all streams. */
  #held = 0;

  constructor(authority: ThrowAwayAuthority, current: Current) {
    this.#authority = authority;
    this.#current = current;
  }

  accept(call: GrpcCall): void {
    let nonce = 0;
    const held = new Set<string>();
    const ended = () => call.end({ code: Status.OK, details: '' });
    call.onClose(() => {
      this.#held -= held.size;
      held.clear();
    });
    call.receive({
      message: (bytes) => {
        let request: DeltaDiscoveryRequest;
        try {
          request = fromBinary(DeltaDiscoveryRequestSchema, bytes, { readUnknownFields: false });
        } catch {
          return ended();
        }
        const { resourceNamesSubscribe: wanted, resourceNamesUnsubscribe: unwanted } = request;
        for (const name of unwanted) if (held.delete(name)) this.#held -= 1;
        if (wanted.length === 0) return;
        nonce += 1;
        this.#answer(wanted, held, String(nonce)).then(
          (response) => call.write(Buffer.from(toBinary(DeltaDiscoveryResponseSchema, response))),
          ended,
        );
      },
      end: ended,
      fault: ended,
    });
  }

  /** Of the names that a stream asks for, those that get a certificate. Counts those that a pattern lists. */
  #grant(names: readonly string[], held: Set<string>): string[] {
    const { destinations } = this.#current;
    const fresh = new Set(names.filter((name) => !held.has(name) && destinations.nameOf(name) === 'pattern'));
    if (this.#held + fresh.size <= MAX_NAMES) {
      for (const name of fresh) held.add(name);
      this.#held += fresh.size;
    }
    return names.filter((name) => {
      const listed = destinations.nameOf(name);
      return listed === 'written' || (listed === 'pattern' && held.has(name));
    });
  }

  async #answer(names: readonly string[], held: Set<string>, nonce: string): Promise<DeltaDiscoveryResponse> {
    const granted = this.#grant(names, held);
    const resources = granted.map(async (name) => {
      const { certificate, key } = await this.#authority.issue(name);
      return {
        version: nonce,
        name,
        resource: {
          typeUrl: TYPE_URL,
          value: {
            name,
            type: {
              case: 'tlsCertificate' as const,
              value: {
                certificateChain: { inlineBytes: Buffer.from(certificate) },
                privateKey: { inlineBytes: Buffer.from(key) },
              },
            },
          },
        },
      };
    });
    return create(DeltaDiscoveryResponseSchema, {
      systemVersionInfo: nonce,
      typeUrl: TYPE_URL,
      nonce,
      resources: await Promise.all(resources),
      removedResources: names.filter((name) => !granted.includes(name)),
    });
  }
}
