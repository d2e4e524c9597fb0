/** What the fuzzer runs inputs against, and what must never happen. */

/** An input made something happen that must not. The message names what, and quotes nothing of the input. */
export class Violation extends Error {
  override readonly name = 'Violation';
  /** The input, where it is not the one that ran last. */
  readonly input: Buffer | undefined;
  constructor(message: string, input?: Buffer) {
    super(message);
    this.input = input;
  }
}

/** Throws a {@link Violation} unless `holds`. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Violation(what);
}

/** A target, ready for inputs. */
export interface Opened extends AsyncDisposable {
  /** Runs one input. Throws if a rule is violated. */
  readonly run: (input: Buffer) => void | Promise<void>;
  /** Looks for what only many inputs together show, such as growth. */
  readonly settle?: () => Promise<void>;
}

/** One thing to fuzz. `Subject` is what a test may replace by something broken, to see that the fuzzer tells. */
export interface Target<Subject extends object = object> {
  readonly name: string;
  /** Folders and files of src whose branches are counted. */
  readonly covers: readonly string[];
  /** What to begin with where there is no corpus. */
  readonly seeds: readonly (string | Uint8Array)[];
  /** Words that inputs are made of. */
  readonly words: readonly (string | Uint8Array)[];
  /** Longest input, in bytes. */
  readonly maxBytes: number;
  /** CPU milliseconds that an input may take; an input above it is tried again before it counts. */
  readonly maxCpuMs: number;
  readonly open: (subject?: Partial<Subject>) => Promise<Opened>;
}
