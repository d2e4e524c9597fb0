/** The four calls of `secretresolver.v1.CredentialResolver`. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Limits } from '../../domain/limits.ts';
import { shownName } from '../../domain/shown-name.ts';
import {
  AcknowledgeOutcome,
  CredentialState,
  GetProviderEnvironmentRequestSchema,
  ListCredentialsResponseSchema,
  WatchProviderEnvironmentRequestSchema,
} from '../../gen/secretresolver/v1/resolver_pb.ts';
import type { Audit } from '../../observe/audit/audit.ts';
import type { Meter } from '../../observe/metrics.ts';
import { fingerprint, type Snapshot, type SnapshotStore } from '../../snapshot/snapshot.ts';
import {
  type Calls,
  parse,
  type RawImplementation,
  type RawMethod,
  type RawStream,
  rawMethod,
  refuse,
} from '../../socket/calls.ts';
import type { PeerConnection } from '../../socket/connections.ts';
import { maySee, selectProviders } from '../../socket/policy.ts';
import { type CallRefusal, wireStatus } from '../../socket/refusal.ts';
import { firstRequiredRefusal, type ServingState } from '../../socket/serving-state.ts';
import type { View, Views } from './views.ts';
import { Watcher } from './watcher.ts';

/** Names of an unknown provider that the audit repeats, and characters of each: a request may hold 64 KiB of them. */
const MAX_AUDITED_NAMES = 8;
const MAX_AUDITED_NAME_LENGTH = 64;

export const SERVICE_NAME = 'secretresolver.v1.CredentialResolver';

export interface ServiceOptions {
  readonly calls: Calls;
  readonly state: ServingState;
  readonly store: SnapshotStore;
  readonly views: Views;
  readonly audit: Audit;
  readonly meter: Meter;
  readonly processKey: Buffer;
  readonly limits: Limits;
  /** Names of the configured providers at this moment. */
  readonly providers: () => readonly string[];
  /** Encoded GetStatusResponse for a caller that may see these providers. */
  readonly status: (sees: (provider: string) => boolean, watchers: readonly Watcher[]) => Buffer;
}

/** gRPC's table of methods; keys are the names that the implementation uses. */
export const RESOLVER_METHODS: Readonly<Record<string, RawMethod>> = {
  GetProviderEnvironment: rawMethod(`/${SERVICE_NAME}/GetProviderEnvironment`, {
    request: false,
    response: true,
  }),
  WatchProviderEnvironment: rawMethod(`/${SERVICE_NAME}/WatchProviderEnvironment`, {
    request: true,
    response: true,
  }),
  ListCredentials: rawMethod(`/${SERVICE_NAME}/ListCredentials`, { request: false, response: true }),
  GetStatus: rawMethod(`/${SERVICE_NAME}/GetStatus`, { request: false, response: true }),
};

export class ResolverService {
  readonly #options: ServiceOptions;
  readonly #watchers = new Set<Watcher>();

  constructor(options: ServiceOptions) {
    this.#options = options;
    options.store.subscribe(() => this.#pushAll());
  }

  get watchers(): readonly Watcher[] {
    return [...this.#watchers];
  }

  get implementation(): RawImplementation {
    const { calls } = this.#options;
    return {
      GetProviderEnvironment: calls.unary('GetProviderEnvironment', (connection, request) =>
        this.#get(connection, request),
      ),
      WatchProviderEnvironment: calls.bidirectional('WatchProviderEnvironment', (connection, stream) =>
        this.#watch(connection, stream),
      ),
      ListCredentials: calls.unary('ListCredentials', (connection) => this.#list(connection)),
      GetStatus: calls.unary('GetStatus', (connection) => {
        this.#options.audit.listed('GetStatus', connection.audited);
        return this.#options.status((provider) => maySee(connection.caller, provider), this.watchers);
      }),
    };
  }

  /** Ends every watch, for a shutdown or a broken boundary. */
  endAll(refusal: CallRefusal): void {
    for (const watcher of this.#watchers) watcher.end(refusal);
  }

  #pushAll(): void {
    for (const watcher of [...this.#watchers]) watcher.push();
  }

  #get(connection: PeerConnection, request: Buffer): Buffer {
    const view = this.#viewFor(connection, requestedProviders(request));
    this.served('GetProviderEnvironment', connection, view);
    return view.bytes;
  }

  /** Writes down that a view was sent to a caller, once it was. */
  served(operation: string, { audited }: PeerConnection, { credentials, revision }: View): void {
    const { audit, calls } = this.#options;
    calls.afterSending(() => audit.served(operation, audited, credentials, revision));
  }

  /** The view that a caller asked for, or the refusal of it. */
  #viewFor(connection: PeerConnection, requested: readonly string[]): View {
    const snapshot = this.#options.calls.snapshot();
    const view = this.#options.views.of(snapshot, this.providersFor(connection, requested));
    refuseIfRequiredIsMissing(view);
    return view;
  }

  /** The providers that a caller asked for, or the refusal of them; none asked for means all that it may see. */
  providersFor(connection: PeerConnection, requested: readonly string[]): readonly string[] {
    if (connection.caller.namesOnly) refuse({ kind: 'names-only' });
    const known = this.#options.providers();
    const selected = selectProviders(connection.caller, requested, known);
    return selected ?? refuse({ kind: 'provider-not-allowed', providers: auditable(requested, known) });
  }

  #list(connection: PeerConnection): Buffer {
    const snapshot = this.#options.calls.snapshot();
    this.#options.audit.listed('ListCredentials', connection.audited);
    return encodeList(snapshot, (provider) => maySee(connection.caller, provider), this.#options.processKey);
  }

  #watch(connection: PeerConnection, stream: RawStream): void {
    const { audit, calls, meter, state, views } = this.#options;
    const { usage } = connection;
    if (usage.watches >= this.#options.limits.watchesPerUid) refuse({ kind: 'too-many-watches' });
    usage.watches += 1;
    let watcher: Watcher | undefined;
    let closed = false;
    const close = () => {
      if (closed) return;
      closed = true;
      usage.watches -= 1;
      if (watcher === undefined) return;
      watcher.ended();
      this.#watchers.delete(watcher);
    };
    const fail = (error: unknown) => {
      stream.emit('error', calls.explain('WatchProviderEnvironment', connection, error));
    };
    stream.on('cancelled', close);
    stream.on('close', close);
    stream.on('finish', close);

    const subscribe = (requested: readonly string[]) => {
      const asked = this.providersFor(connection, requested);
      // "All that I may see" is answered anew each time: a reload may add a provider.
      const providers = () =>
        requested.length > 0
          ? asked
          : (selectProviders(connection.caller, [], this.#options.providers()) ?? []);
      // What a Get would be refused, a new watch is refused too. A watch that is open stays open: it must be
      // told that the required credential is withdrawn, and when it is back.
      refuseIfRequiredIsMissing(views.of(calls.snapshot(), asked));
      watcher = new Watcher({
        connection,
        view: () => {
          const current = state.snapshot();
          if ('refusal' in current) return current;
          return { view: views.of(current.snapshot, providers()), mountedAt: current.snapshot.mountedAt };
        },
        stream: {
          write: (bytes, done) => stream.write(bytes, done),
          end: (refusal) => {
            close();
            if (refusal === 'peer-gone') {
              audit.peerRefused(connection.audited, refusal);
              connection.close();
            } else {
              audit.denied('WatchProviderEnvironment', connection.audited, refusal.kind);
              stream.emit('error', wireStatus(refusal));
            }
          },
        },
        onServed: (view, lagMs) => {
          if (lagMs !== undefined) meter.served(lagMs);
          this.served('WatchProviderEnvironment', connection, view);
        },
      });
      this.#watchers.add(watcher);
      watcher.push();
    };

    stream.on('data', (bytes: Buffer) => {
      if (closed) return;
      try {
        // Each message counts as a request: an acknowledgement is written down.
        if (!usage.requests.take(performance.now())) refuse({ kind: 'too-many-requests' });
        const { message } = parse('WatchProviderEnvironmentRequest', () =>
          fromBinary(WatchProviderEnvironmentRequestSchema, bytes),
        );
        if (message.case === 'subscribe' && watcher === undefined) subscribe(message.value.providers);
        else if (message.case === 'acknowledge' && watcher !== undefined)
          this.#acknowledge(watcher, message.value.revision, message.value.outcome);
        else
          refuse({
            kind: 'malformed-request',
            what: 'a watch begins with subscribe and goes on with acknowledge',
          });
      } catch (error) {
        fail(error);
      }
    });
  }

  #acknowledge(watcher: Watcher, revision: bigint, outcome: AcknowledgeOutcome): void {
    if (outcome !== AcknowledgeOutcome.APPLIED && outcome !== AcknowledgeOutcome.REJECTED) {
      refuse({ kind: 'malformed-request', what: 'outcome of an acknowledgement' });
    }
    // A revision that was never sent, or sent too long ago to be told from one that was not.
    if (!watcher.acknowledge(revision, outcome)) return;
    const { audit, meter } = this.#options;
    const what = outcome === AcknowledgeOutcome.APPLIED ? 'applied' : 'rejected';
    meter.acknowledged(what, watcher.acknowledgedLagMs);
    audit.acknowledged(watcher.connection.audited, revision, what);
  }
}

/** Providers that a request names; an empty message, as most are, names none. */
function requestedProviders(request: Buffer): readonly string[] {
  if (request.length === 0) return [];
  return parse('GetProviderEnvironmentRequest', () =>
    fromBinary(GetProviderEnvironmentRequestSchema, request),
  ).providers;
}

/**
 * Names that a peer asked for, as many and as long as the audit has room for. One that no provider has is any text,
 * a token in the wrong field for example, and is shown only where it reads as a name.
 */
function auditable(names: readonly string[], known: readonly string[]): string[] {
  const providers = new Set(known);
  return names
    .slice(0, MAX_AUDITED_NAMES)
    .map((name) => (providers.has(name) ? name.slice(0, MAX_AUDITED_NAME_LENGTH) : shownName(name)));
}

/** Nothing is served to whoever would see a required credential that is refused. */
export function refuseIfRequiredIsMissing(view: View): void {
  const missing = firstRequiredRefusal(view.refusals);
  if (missing === undefined) return;
  const { provider, key, reason } = missing;
  refuse({ kind: 'required-credential-refused', provider, key, reason });
}

function encodeList(snapshot: Snapshot, sees: (provider: string) => boolean, processKey: Buffer): Buffer {
  const served = snapshot.credentials
    .filter(({ provider }) => sees(provider))
    .map((credential) => ({
      provider: credential.provider,
      key: credential.key,
      reference: credential.reference,
      state: CredentialState.SERVED,
      required: credential.required,
      expiresAtMs: BigInt(credential.expiresAtMs ?? 0),
      fingerprint: fingerprint(credential, processKey),
      handle: credential.handle,
    }));
  const refused = snapshot.refusals
    .filter(({ provider }) => sees(provider))
    .map(({ provider, key, reference, reason, required }) => ({
      provider,
      key,
      reference,
      reason,
      required,
      state: CredentialState.REFUSED,
    }));
  const credentials = [...served, ...refused].sort((a, b) =>
    a.provider === b.provider
      ? a.key < b.key
        ? -1
        : a.key > b.key
          ? 1
          : 0
      : a.provider < b.provider
        ? -1
        : 1,
  );
  return Buffer.from(
    toBinary(ListCredentialsResponseSchema, create(ListCredentialsResponseSchema, { credentials })),
  );
}
