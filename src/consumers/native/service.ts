/** The four calls of `secretresolver.v1.CredentialResolver`. */
import { fromBinary } from '@bufbuild/protobuf';
import {
  type Acknowledge,
  AcknowledgeOutcome,
  CredentialResolver,
  GetProviderEnvironmentRequestSchema,
  ListCredentialsRequestSchema,
  WatchProviderEnvironmentRequestSchema,
} from '../../gen/secretresolver/v1/resolver_pb.ts';
import { countRequest, parse, refuse } from '../../socket/calls.ts';
import type { PeerConnection } from '../../socket/connections.ts';
import { type Method, streaming, unary } from '../../socket/method.ts';
import { maySee } from '../../socket/policy.ts';
import { socketRefusal } from '../../socket/refusal.ts';
import type { ConsumerHost } from '../consumer.ts';
import { currentSnapshot, providersFor, serve, visibleProviders } from '../environment.ts';
import { WatchedConsumer, type WatchOptions } from '../watch.ts';
import { encodeList } from './list.ts';
import { encodeStatus } from './status.ts';
import { Watcher } from './watcher.ts';

const { typeName: SERVICE } = CredentialResolver;

export class ResolverService extends WatchedConsumer<Watcher> {
  readonly methods: readonly Method[];

  constructor(host: ConsumerHost) {
    super(host);
    const { audit, processKey, statusFacts } = host;
    const get = unary(SERVICE, 'GetProviderEnvironment', (connection, request) => {
      const requested = requestedProviders(request);
      const snapshot = currentSnapshot(host);
      const view = host.views.of(snapshot, providersFor(host, connection, requested));
      return serve(host, get.audited, connection, view);
    });
    const list = unary(SERVICE, 'ListCredentials', (connection, request) => {
      const { pageToken } = parse('ListCredentialsRequest', () =>
        fromBinary(ListCredentialsRequestSchema, request),
      );
      const snapshot = currentSnapshot(host);
      audit.listed(list.audited, connection.audited);
      const sees = (provider: string) => maySee(connection.caller, provider);
      return encodeList(snapshot, sees, processKey, pageToken);
    });
    const status = unary(SERVICE, 'GetStatus', (connection) => {
      audit.listed(status.audited, connection.audited);
      return encodeStatus(statusFacts(), connection.caller);
    });
    const watch: Method = streaming(SERVICE, 'WatchProviderEnvironment', (connection, stream) =>
      this.#watch({ host, call: watch.audited, connection, stream }),
    );
    this.methods = [get, watch, list, status];
  }

  #watch(options: WatchOptions): void {
    const { connection, stream } = options;
    this.count(connection, stream);
    let watcher: Watcher | undefined;
    stream.receive((bytes) => {
      const { message } = parse('WatchProviderEnvironmentRequest', () =>
        fromBinary(WatchProviderEnvironmentRequestSchema, bytes),
      );
      if (message.case === 'subscribe' && watcher === undefined) {
        watcher = new Watcher(options, this.#watched(connection, message.value.providers));
        this.add(watcher, stream);
        watcher.push();
      } else if (message.case === 'acknowledge' && watcher !== undefined)
        acknowledge(connection, watcher, message.value);
      else {
        const what = 'a watch begins with subscribe and goes on with acknowledge';
        refuse(socketRefusal({ kind: 'malformed-request', what }));
      }
    });
  }

  /** The providers that a watch is for, or the refusal of them. */
  #watched(connection: PeerConnection, requested: readonly string[]): () => readonly string[] {
    const asked = providersFor(this.host, connection, requested);
    currentSnapshot(this.host);
    // "All that I may see" is answered anew each time: a reload may add a provider.
    return () => (requested.length > 0 ? asked : visibleProviders(this.host, connection));
  }
}

function acknowledge(
  connection: PeerConnection,
  { acknowledgements }: Watcher,
  { revision, outcome }: Acknowledge,
): void {
  if (outcome !== AcknowledgeOutcome.APPLIED && outcome !== AcknowledgeOutcome.REJECTED) {
    refuse(socketRefusal({ kind: 'malformed-request', what: 'outcome of an acknowledgement' }));
  }
  const what = outcome === AcknowledgeOutcome.APPLIED ? 'applied' : 'rejected';
  // There are as many acknowledgements as responses; whatever else costs a call.
  if (!acknowledgements.acknowledge(revision, what)) countRequest(connection);
}

/** Providers that a request names; an empty message, as most are, names none. */
function requestedProviders(request: Buffer): readonly string[] {
  if (request.length === 0) return [];
  return parse('GetProviderEnvironmentRequest', () =>
    fromBinary(GetProviderEnvironmentRequestSchema, request),
  ).providers;
}
