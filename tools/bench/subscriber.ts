/** A supervisor's watch, cut down to what the time depends on: bytes in hand, and when. */
import { create, toBinary } from '@bufbuild/protobuf';
import { WatchProviderEnvironmentRequestSchema } from '../../src/gen/secretresolver/v1/resolver_pb.ts';
import { RawClient } from '../../test/support/raw-calls.ts';
import { rotationIn } from './generations.ts';

const SUBSCRIBE = toBinary(
  WatchProviderEnvironmentRequestSchema,
  create(WatchProviderEnvironmentRequestSchema, { message: { case: 'subscribe', value: {} } }),
);
const TIMEOUT_MS = 30_000;

/** Whatever pushes snapshots, and what every value of them begins with. */
export interface Pusher {
  readonly socket: string;
  readonly prefix: string;
}

export class Subscriber implements Disposable {
  readonly #client: RawClient | undefined;
  readonly #cancel: () => void;
  #rotation = -1;
  #at = 0n;
  #failure: unknown;
  #changed: () => void = () => {};

  /** `client` is shared with others and stays open, unless `owned`. */
  private constructor(client: RawClient, prefix: string, owned: boolean) {
    this.#client = owned ? client : undefined;
    const watch = client.stream('WatchProviderEnvironment');
    this.#cancel = () => watch.stream.cancel();
    watch.stream.on('data', (bytes: Buffer) => {
      this.#at = process.hrtime.bigint();
      this.#rotation = rotationIn(bytes, prefix);
      watch.messages.length = 0;
      this.#changed();
    });
    void watch.ended.then(({ details }) => {
      this.#failure = new Error(`the watch ended: ${details}`);
      this.#changed();
    });
    watch.send(SUBSCRIBE);
  }

  /** Opens a watch, on a connection of its own unless one is given, and waits for its first snapshot. */
  static async to(resolver: Pusher, shared?: RawClient): Promise<Subscriber> {
    const subscriber = new Subscriber(
      shared ?? new RawClient(resolver.socket),
      resolver.prefix,
      shared === undefined,
    );
    await subscriber.has(0);
    return subscriber;
  }

  /** Waits until it has that rotation or a later one; the moment it came, on the monotonic clock. */
  async has(rotation: number): Promise<bigint> {
    const deadline = performance.now() + TIMEOUT_MS;
    while (this.#rotation < rotation) {
      if (this.#failure !== undefined) throw this.#failure;
      if (performance.now() > deadline) throw new Error(`rotation ${rotation} did not arrive`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, TIMEOUT_MS);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#at;
  }

  [Symbol.dispose](): void {
    this.#cancel();
    this.#client?.[Symbol.dispose]();
  }
}
