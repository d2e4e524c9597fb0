/** The writer's process, seen from here. */
import { once } from 'node:events';
import { Child } from './child.ts';
import type { Rotation } from './children/writer.ts';

/** A volume that can be rotated. */
export type Rotatable = Pick<Rotation, 'directory' | 'prefix' | 'keys'>;

export class Writer implements AsyncDisposable {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start(): Promise<Writer> {
    return new Writer(await Child.start('writer.ts'));
  }

  /** Rotates; the moment at which `..data` was swung, on the monotonic clock. One at a time. */
  async rotate({ directory, prefix, keys }: Rotatable, rotation: number): Promise<bigint> {
    this.#child.send({ directory, prefix, keys, rotation } satisfies Rotation);
    const [{ at }] = (await once(this.#child.process, 'message')) as [{ readonly at: bigint }];
    return at;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}
