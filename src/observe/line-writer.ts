/**
 * Lines for a stream that may be in trouble: nobody is ever made to wait. A line is written at the end of its turn of
 * the event loop, after the response that it tells of. A write that fails is tried again, a reader that does not read is
 * not waited for, and what cannot be kept is dropped and counted. A line is never torn: a file that was full goes on
 * where it stopped.
 */
import { fstatSync, write, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { errorCode } from '../domain/errors.ts';

/** Milliseconds until a write that failed is tried again: a disk that is full, a reader that is restarted. */
const RETRY_MS = 1_000;
/** Milliseconds that the end of the process waits for what is not written yet. */
const FLUSH_MS = 1_000;
const BATCH_LENGTH = 64 * 1024;

/** What became of lines, for whoever can still be told. `dropped` counts since the start. */
export type LineTrouble =
  /** A line was dropped. Told at each power of two: at once, and without a flood in turn. */
  | { readonly kind: 'dropped'; readonly dropped: number }
  | { readonly kind: 'failing'; readonly code: string }
  /** After a failure, or after a reader that did not read cost lines. */
  | { readonly kind: 'written-again'; readonly dropped: number }
  /** The end, with the number of bytes that were never written. */
  | { readonly kind: 'lost'; readonly bytes: number; readonly dropped: number };

export interface LineTarget {
  /** Writes some of the bytes, and tells how many. */
  readonly write: (bytes: Buffer, done: (error: Error | null, written: number) => void) => void;
  /** Lets the process end although the stream still holds what nobody reads. */
  readonly abandon: () => void;
  /** Whether the write that was begun last has reached the kernel although `done` was not called yet. */
  readonly reached: () => boolean;
}

/** The target behind a descriptor of the process's own. `stream` is Node's for it. */
export function standardTarget(fd: 1 | 2, stream: Writable): LineTarget {
  // A pipe may stall, so it is written without blocking; a file cannot, and has no such stream.
  const stat = fstatSync(fd);
  return stat.isFIFO() || stat.isSocket() ? streamTarget(stream) : fileTarget(fd);
}

export function fileTarget(fd: number): LineTarget {
  return {
    write: (bytes, done) => write(fd, bytes, done),
    abandon: () => {},
    reached: () => false,
  };
}

function streamTarget(stream: Writable): LineTarget {
  // Each write hears of its error; without a listener the first would end the process.
  stream.on('error', () => {});
  return {
    write: (bytes, done) => {
      stream.write(bytes, (error) => done(error ?? null, bytes.length));
    },
    // Node's own streams for stdout and stderr do nothing when they are destroyed, so that of a socket is called.
    abandon: () => {
      if (stream instanceof Socket) Socket.prototype._destroy.call(stream, null, () => {});
    },
    reached: () => stream.writableLength === 0,
  };
}

export interface LineWriterOptions {
  /** Bytes of lines that may wait; beyond that lines are dropped. */
  readonly maxWaitingBytes: number;
  readonly onTrouble: (trouble: LineTrouble) => void;
}

export interface WriterState {
  /** Code of the error of the last write, if it failed. */
  readonly error: string | undefined;
  readonly dropped: number;
}

export class LineWriter implements AsyncDisposable {
  readonly #target: LineTarget;
  readonly #options: LineWriterOptions;
  /** Text, so that a line costs its caller nothing but its place: bytes are made of many at once. */
  #waiting: string[] = [];
  /** What was handed to the kernel last, or is left of it. */
  #batch: Buffer | undefined;
  /** Bytes of both. */
  #waitingBytes = 0;
  #writing = false;
  #due = false;
  #retry: NodeJS.Timeout | undefined;
  /** Code of the error of the last write, if it failed. */
  #failed: string | undefined;
  #dropped = 0;
  /** How many of these were told of by `written-again`. */
  #toldDropped = 0;
  #idle: () => void = () => {};

  constructor(target: LineTarget, options: LineWriterOptions) {
    this.#target = target;
    this.#options = options;
  }

  get state(): WriterState {
    return { error: this.#failed, dropped: this.#dropped };
  }

  /** Takes one line, with its newline. One to `keep` has room beyond the bound; the caller has few of these. */
  write(text: string, keep = false): void {
    const bytes = Buffer.byteLength(text);
    if (!keep && this.#waitingBytes + bytes > this.#options.maxWaitingBytes) {
      this.#dropped += 1;
      if ((this.#dropped & (this.#dropped - 1)) === 0)
        this.#options.onTrouble({ kind: 'dropped', dropped: this.#dropped });
      return;
    }
    this.#waiting.push(text);
    this.#waitingBytes += bytes;
    if (this.#due || this.#writing) return;
    this.#due = true;
    setImmediate(() => {
      this.#due = false;
      this.#pump();
    });
  }

  /** Waits a moment for what is not written yet, and says how much is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#waitingBytes > 0) {
      clearTimeout(this.#retry);
      this.#retry = undefined;
      this.#pump();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, FLUSH_MS);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    clearTimeout(this.#retry);
    if (this.#waitingBytes > 0 || this.#dropped > 0) {
      this.#options.onTrouble({ kind: 'lost', bytes: this.#waitingBytes, dropped: this.#dropped });
    }
    if (this.#waitingBytes > 0) this.#target.abandon();
  }

  /**
   * For the last moment of a process that ends without disposal: hands to descriptor `fd` what it takes without
   * waiting. Nothing where a write is under way that may have left half a line there.
   */
  flushNow(fd: number): void {
    if (this.#writing) {
      if (!this.#target.reached()) return;
      this.#batch = undefined;
    }
    try {
      if (this.#batch !== undefined) writeSync(fd, this.#batch);
      for (const line of this.#waiting) writeSync(fd, line);
    } catch {
      // The stream takes no more.
    }
    this.#waiting = [];
    this.#batch = undefined;
    this.#waitingBytes = 0;
  }

  #pump(): void {
    if (this.#writing || this.#retry !== undefined || this.#waitingBytes === 0) return;
    this.#writing = true;
    this.#batch ??= this.#nextBatch();
    this.#target.write(this.#batch, (error, written) => {
      this.#writing = false;
      if (error === null) this.#wrote(written);
      else this.#fail(error);
    });
  }

  #nextBatch(): Buffer {
    let count = 0;
    for (let length = 0; count < this.#waiting.length && length < BATCH_LENGTH; count++)
      length += this.#waiting[count]?.length ?? 0;
    return Buffer.from(this.#waiting.splice(0, count).join(''));
  }

  #wrote(written: number): void {
    if (this.#batch !== undefined) {
      this.#batch = written < this.#batch.length ? this.#batch.subarray(written) : undefined;
      this.#waitingBytes -= written;
    }
    const caughtUp = this.#waitingBytes === 0 && this.#dropped > this.#toldDropped;
    if (this.#failed !== undefined || caughtUp) {
      this.#failed = undefined;
      this.#toldDropped = this.#dropped;
      this.#options.onTrouble({ kind: 'written-again', dropped: this.#dropped });
    }
    if (this.#waitingBytes === 0) this.#idle();
    else this.#pump();
  }

  #fail(error: Error): void {
    const before = this.#failed;
    this.#failed = errorCode(error);
    if (before === undefined) this.#options.onTrouble({ kind: 'failing', code: this.#failed });
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#pump();
    }, RETRY_MS).unref();
  }
}
