/** A watch that survives restarts of the resolver: it reconnects, and each snapshot that it yields is complete. */
import { create, toBinary } from '@bufbuild/protobuf';
import type { Client, ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
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

/** Wait before the first new attempt, in milliseconds. It doubles with each failure. */
export const BACKOFF_INITIAL_MS = 50;
/** Longest wait, in milliseconds. A restarted resolver ends it sooner, by its new socket. */
export const BACKOFF_MAX_MS = 1_000;
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
    const session = new WatchSession(socketPath, options.providers ?? [], signal);
    try {
      for await (const environment of session) {
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
    } finally {
      session.close();
    }
  }
}

/** One stream. Keeps only the newest snapshot: a busy consumer skips the ones in between. */
class WatchSession implements AsyncIterable<WatchedEnvironment> {
  readonly #socket: string;
  readonly #channel: Client;
  readonly #stream: ClientDuplexStream<Buffer, Buffer>;
  #newest: ProviderEnvironment | undefined;
  #error: ResolverError | undefined;
  #wake: () => void = () => {};
  #closed = false;
  readonly #close = () => this.close();
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout;

  constructor(socket: string, providers: readonly string[], signal: AbortSignal) {
    this.#socket = socket;
    this.#channel = openChannel(socket);
    this.#signal = signal;
    this.#stream = bidirectionalCall(this.#channel, 'WatchProviderEnvironment');
    const end = (message: string) => this.#fail(new ResolverError('unavailable', message, { socket }));
    this.#timer = setTimeout(
      () => end('timed out waiting for the first snapshot'),
      FIRST_SNAPSHOT_TIMEOUT_MS,
    );
    this.#stream.on('data', (bytes: Buffer) => {
      clearTimeout(this.#timer);
      if (!this.#closed) this.#take(bytes);
    });
    this.#stream.on('error', (error: ServiceError) => this.#fail(toResolverError(error, socket)));
    this.#stream.on('end', () => end('the resolver ended the watch'));
    signal.addEventListener('abort', this.#close, { once: true });
    this.#send({ case: 'subscribe', value: { providers: [...providers] } });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WatchedEnvironment, void, undefined> {
    while (!this.#closed) {
      const environment = this.#newest;
      if (environment !== undefined) {
        this.#newest = undefined;
        let rejected = false;
        yield loggable({
          ...environment,
          reject: () => {
            rejected = true;
          },
        });
        this.#acknowledge(
          environment.revision,
          rejected ? AcknowledgeOutcome.REJECTED : AcknowledgeOutcome.APPLIED,
        );
        continue;
      }
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#close);
    this.#stream.cancel();
    this.#channel.close();
    if (this.#newest !== undefined) eraseEnvironment(this.#newest);
    this.#newest = undefined;
    this.#wake();
  }

  /** A response that cannot be decoded ends this stream, not the process. */
  #take(bytes: Buffer): void {
    const skipped = this.#newest;
    try {
      this.#newest = decodeEnvironment(bytes, this.#socket);
    } catch (error) {
      const options = { socket: this.#socket };
      this.#fail(
        error instanceof ResolverError ? error : new ResolverError('internal', 'decoding failed', options),
      );
      return;
    }
    if (skipped !== undefined) eraseEnvironment(skipped);
    this.#wake();
  }

  #fail(error: ResolverError): void {
    clearTimeout(this.#timer);
    this.#error ??= error;
    this.#wake();
  }

  #acknowledge(revision: bigint, outcome: AcknowledgeOutcome): void {
    this.#send({ case: 'acknowledge', value: { revision, outcome } });
  }

  #send(message: Parameters<typeof requestBytes>[0]): void {
    if (!this.#closed && this.#error === undefined) this.#stream.write(requestBytes(message));
  }
}

type RequestInit =
  | { readonly case: 'subscribe'; readonly value: { readonly providers: string[] } }
  | {
      readonly case: 'acknowledge';
      readonly value: { readonly revision: bigint; readonly outcome: AcknowledgeOutcome };
    };

function requestBytes(message: RequestInit): Buffer {
  return Buffer.from(
    toBinary(
      WatchProviderEnvironmentRequestSchema,
      create(WatchProviderEnvironmentRequestSchema, { message }),
    ),
  );
}

/** Overwrites every value of a snapshot. */
export function eraseEnvironment(environment: ProviderEnvironment): void {
  for (const { value } of environment.credentials.values()) value.erase();
}
