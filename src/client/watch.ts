/** A watch that survives restarts of the resolver: it reconnects, and each snapshot that it yields is complete. */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { ServiceError } from '@grpc/grpc-js';
import {
  AcknowledgeOutcome,
  WatchProviderEnvironmentRequestSchema,
} from '../gen/secretresolver/v1/resolver_pb.ts';
import { decodeEnvironment } from './decode.ts';
import type { ProviderEnvironment } from './environment.ts';
import { ResolverError, toResolverError } from './errors.ts';
import { loggable } from './loggable.ts';
import { socketIdentity, waitForSocket } from './retry-wait.ts';
import { bidirectionalCall, openChannel } from './transport.ts';

const METHOD = '/secretresolver.v1.CredentialResolver/WatchProviderEnvironment';
/** Wait before the first new attempt, in milliseconds. It doubles with each failure. */
const BACKOFF_INITIAL_MS = 50;
/** Longest wait, in milliseconds. A restarted resolver ends it sooner, by its new socket. */
const BACKOFF_MAX_MS = 1_000;
/** Milliseconds until the first snapshot of a subscription must arrive. */
const FIRST_SNAPSHOT_TIMEOUT_MS = 10_000;

/** What to watch, and for how long. */
export interface WatchOptions {
  /** Providers to watch. Defaults to all that this caller may see. */
  readonly providers?: readonly string[];
  /** Ends the watch: the iteration completes without an error. */
  readonly signal?: AbortSignal;
  /** Called each time the connection is lost, with the reason. The caller decides what to do with the values that it still holds. */
  readonly onDisconnect?: (error: ResolverError) => void;
}

/** A snapshot that a watch yields. The next iteration acknowledges it as applied. */
export interface WatchedEnvironment extends ProviderEnvironment {
  /** Acknowledges the snapshot as rejected. */
  readonly reject: () => void;
}

/** Yields each newest snapshot. Throws {@link ResolverError} only if waiting cannot help. */
export async function* watchEnvironment(
  socketPath: string,
  options: WatchOptions,
): AsyncGenerator<WatchedEnvironment, void, undefined> {
  const signal = options.signal ?? new AbortController().signal;
  let failures = 0;
  while (!signal.aborted) {
    const socket = socketIdentity(socketPath);
    try {
      for await (const environment of watchOnce(socketPath, options.providers ?? [], signal)) {
        failures = 0;
        yield environment;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ResolverError) || !error.retryable) throw error;
      options.onDisconnect?.(error);
      const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_INITIAL_MS * 2 ** Math.min(failures, 10));
      // 50 % jitter, so that a thousand watchers do not reconnect in the same millisecond.
      const restarted = await waitForSocket(socketPath, socket, wait * (0.5 + Math.random() / 2), signal);
      failures = restarted ? 0 : failures + 1;
    }
  }
}

/** One stream. Keeps only the newest snapshot: a busy consumer skips the ones in between. */
async function* watchOnce(
  socket: string,
  providers: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<WatchedEnvironment, void, undefined> {
  const channel = openChannel(socket);
  const stream = bidirectionalCall(channel, METHOD);
  let newest: ProviderEnvironment | undefined;
  let failure: ResolverError | undefined;
  let closed = false;
  let wake = () => {};
  const keep = (environment: ProviderEnvironment | undefined) => {
    if (newest !== undefined) eraseEnvironment(newest);
    newest = environment;
    wake();
  };
  const fail = (error: ResolverError) => {
    clearTimeout(timer);
    failure ??= error;
    wake();
  };
  const end = (message: string) => fail(new ResolverError('unavailable', message, { socket }));
  const timer = setTimeout(end, FIRST_SNAPSHOT_TIMEOUT_MS, 'timed out waiting for the first snapshot');
  const send = (message: Message) => {
    if (!closed && failure === undefined) stream.write(requestBytes(message));
  };
  const close = () => {
    if (closed) return;
    closed = true;
    clearTimeout(timer);
    signal.removeEventListener('abort', close);
    stream.cancel();
    channel.close();
    keep(undefined);
  };
  stream.on('data', (bytes: Buffer) => {
    clearTimeout(timer);
    if (closed) return;
    try {
      keep(decodeEnvironment(bytes, socket));
    } catch (error) {
      // Ends this stream, not the process.
      fail(error as ResolverError);
    }
  });
  stream.on('error', (error: ServiceError) => fail(toResolverError(error, socket)));
  stream.on('end', () => end('the resolver ended the watch'));
  signal.addEventListener('abort', close, { once: true });
  try {
    send({ case: 'subscribe', value: { providers: [...providers] } });
    while (!closed) {
      if (newest !== undefined) {
        const environment = newest;
        newest = undefined;
        let outcome: AcknowledgeOutcome = AcknowledgeOutcome.APPLIED;
        const reject = () => {
          outcome = AcknowledgeOutcome.REJECTED;
        };
        yield loggable({ ...environment, reject });
        send({ case: 'acknowledge', value: { revision: environment.revision, outcome } });
      } else if (failure !== undefined) throw failure;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    close();
  }
}

type Message = NonNullable<MessageInitShape<typeof WatchProviderEnvironmentRequestSchema>['message']>;

function requestBytes(message: Message): Buffer {
  const request = create(WatchProviderEnvironmentRequestSchema, { message });
  return Buffer.from(toBinary(WatchProviderEnvironmentRequestSchema, request));
}

/** Overwrites every value of a snapshot. */
export function eraseEnvironment(environment: ProviderEnvironment): void {
  for (const { value } of environment.credentials.values()) value.erase();
}
