/** Envoy's secret discovery service, for certificates: one for each name that the agent's TLS asks for and that is listed. */
import { create } from '@bufbuild/protobuf';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '../gen/envoy/service/secret/v3/sds_pb.ts';
import type { ThrowAwayAuthority } from './authority.ts';
import type { Current } from './current.ts';

/** Names that have a certificate at a time: Envoy keeps what it asked for once, and an agent may ask for any. */
export const MAX_NAMES = 1_000;

const TYPE_URL = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

export type CertificateStream = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export class Certificates {
  readonly #authority: ThrowAwayAuthority;
  readonly #current: Current;
  #names = 0;

  constructor(authority: ThrowAwayAuthority, current: Current) {
    this.#authority = authority;
    this.#current = current;
  }

  accept(stream: CertificateStream): void {
    let nonce = 0;
    let names = 0;
    stream.on('data', (request: DeltaDiscoveryRequest) => {
      names += request.resourceNamesSubscribe.length - request.resourceNamesUnsubscribe.length;
      this.#names += request.resourceNamesSubscribe.length - request.resourceNamesUnsubscribe.length;
      if (request.resourceNamesSubscribe.length === 0) return;
      nonce += 1;
      this.#answer(request.resourceNamesSubscribe, String(nonce)).then(
        (response) => stream.write(response),
        (error: unknown) => stream.destroy(error instanceof Error ? error : undefined),
      );
    });
    stream.on('close', () => {
      this.#names -= names;
    });
    stream.on('error', () => {});
    stream.on('end', () => stream.end());
  }

  async #answer(names: readonly string[], nonce: string): Promise<DeltaDiscoveryResponse> {
    const granted = names.filter(
      (name) => this.#names <= MAX_NAMES && this.#current.destinations.hasName(name),
    );
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
