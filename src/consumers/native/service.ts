/** The four calls of `secretresolver.v1.CredentialResolver`. */
import { fromBinary } from '@bufbuild/protobuf';
import {
  AcknowledgeOutcome,
  GetProviderEnvironmentRequestSchema,
  ListCredentialsRequestSchema,
  WatchProviderEnvironmentRequestSchema,
} from '../../gen/secretresolver/v1/resolver_pb.ts';
import { countRequest, parse, refuse } from '../../socket/calls.ts';
import type { PeerConnection } from '../../socket/connections.ts';
import { type MessageStream, type Method, streaming, unary } from '../../socket/method.ts';
import { maySee } from '../../socket/policy.ts';
import { type CallRefusal, socketRefusal } from '../../socket/refusal.ts';
import { Acknowledgements } from '../acknowledgements.ts';
import type { ConsumerHost, OpenConsumer } from '../consumer.ts';
import {
  auditServed,
  currentSnapshot,
  providersFor,
  refuseIfWithheld,
  visibleProviders,
} from '../environment.ts';
import { encodeList } from './list.ts';
import { encodeStatus } from './status.ts';
import { Watcher } from './watcher.ts';

export const SERVICE_NAME = 'secretresolver.v1.CredentialResolver';

export class ResolverService implements OpenConsumer {
  readonly methods: readonly Method[];
  readonly #host: ConsumerHost;
  readonly #open = new Set<Watcher>();
  readonly #watchMethod: Method;

  constructor(host: ConsumerHost) {
    this.#host = host;
    const { audit, processKey, statusFacts } = host;
    const get = unary(SERVICE_NAME, 'GetProviderEnvironment', (connection, request) => {
      const view = this.#viewFor(connection, requestedProviders(request));
      auditServed(host, get.audited, connection, view);
      return view.message;
    });
    const list = unary(SERVICE_NAME, 'ListCredentials', (connection, request) => {
      const { pageToken } = parse('ListCredentialsRequest', () =>
        fromBinary(ListCredentialsRequestSchema, request),
      );
      const snapshot = currentSnapshot(host);
      audit.listed(list.audited, connection.audited);
      const sees = (provider: string) => maySee(connection.caller, provider);
      return encodeList(snapshot, sees, processKey, pageToken);
    });
    const status = unary(SERVICE_NAME, 'GetStatus', (connection) => {
      audit.listed(status.audited, connection.audited);
      return encodeStatus(statusFacts(), connection.caller);
    });
    this.#watchMethod = streaming(SERVICE_NAME, 'WatchProviderEnvironment', (connection, stream) =>
      this.#watch(connection, stream),
    );
    this.methods = [get, this.#watchMethod, list, status];
    host.store.subscribe(() => {
      for (const watcher of [...this.#open]) watcher.push();
    });
  }

  watches = () => [...this.#open].map(({ acknowledgements }) => acknowledgements.state);

  endAll = (refusal: CallRefusal): void => {
    for (const watcher of this.#open) watcher.end(refusal);
  };

  /** The view that a caller asked for, or the refusal of it. */
  #viewFor(connection: PeerConnection, requested: readonly string[]) {
    const snapshot = currentSnapshot(this.#host);
    const view = this.#host.views.of(snapshot, providersFor(this.#host, connection, requested));
    refuseIfWithheld(view);
    return view;
  }

  #watch(connection: PeerConnection, stream: MessageStream): void {
    const { limits } = this.#host;
    const { usage } = connection;
    if (usage.watches >= limits.watchesPerUid) refuse(socketRefusal({ kind: 'too-many-watches' }));
    usage.watches += 1;
    let watcher: Watcher | undefined;
    stream.onClose(() => {
      usage.watches -= 1;
      if (watcher === undefined) return;
      watcher.closed();
      this.#open.delete(watcher);
    });
    stream.receive((bytes) => {
      const { message } = parse('WatchProviderEnvironmentRequest', () =>
        fromBinary(WatchProviderEnvironmentRequestSchema, bytes),
      );
      if (message.case === 'subscribe' && watcher === undefined) {
        watcher = this.#subscribe(connection, stream, message.value.providers);
        this.#open.add(watcher);
        watcher.push();
      } else if (message.case === 'acknowledge' && watcher !== undefined)
        this.#acknowledge(watcher, message.value.revision, message.value.outcome);
      else {
        const what = 'a watch begins with subscribe and goes on with acknowledge';
        refuse(socketRefusal({ kind: 'malformed-request', what }));
      }
    });
  }

  #subscribe(connection: PeerConnection, stream: MessageStream, requested: readonly string[]): Watcher {
    const { audit, state, views } = this.#host;
    const asked = providersFor(this.#host, connection, requested);
    // "All that I may see" is answered anew each time: a reload may add a provider.
    const providers = () => (requested.length > 0 ? asked : visibleProviders(this.#host, connection));
    currentSnapshot(this.#host);
    const call = this.#watchMethod.audited;
    return new Watcher({
      connection,
      acknowledgements: new Acknowledgements({
        consumer: 'native',
        host: this.#host,
        call,
        connection,
        providers,
      }),
      view: () => {
        const current = state.snapshot();
        if ('refusal' in current) return current;
        return { view: views.of(current.snapshot, providers()), mountedAt: current.snapshot.mountedAt };
      },
      stream: {
        write: stream.write,
        end: (refusal) => {
          if (refusal !== 'peer-gone') return stream.end(refusal);
          audit.peerRefused(connection.audited, refusal);
          connection.close();
        },
      },
      onServed: (view, correlation) => auditServed(this.#host, call, connection, view, correlation),
    });
  }

  #acknowledge(watcher: Watcher, revision: bigint, outcome: AcknowledgeOutcome): void {
    if (outcome !== AcknowledgeOutcome.APPLIED && outcome !== AcknowledgeOutcome.REJECTED) {
      refuse(socketRefusal({ kind: 'malformed-request', what: 'outcome of an acknowledgement' }));
    }
    const what = outcome === AcknowledgeOutcome.APPLIED ? 'applied' : 'rejected';
    // There are as many acknowledgements as responses; whatever else costs a call.
    if (!watcher.acknowledgements.acknowledge(revision, what)) countRequest(watcher.connection);
  }
}

/** Providers that a request names; an empty message, as most are, names none. */
function requestedProviders(request: Buffer): readonly string[] {
  if (request.length === 0) return [];
  return parse('GetProviderEnvironmentRequest', () =>
    fromBinary(GetProviderEnvironmentRequestSchema, request),
  ).providers;
}
