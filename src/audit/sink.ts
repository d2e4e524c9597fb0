/**
 * Where audit records go: one JSON object a line, on stdout or appended to a file.
 *
 * Trouble with the stream never reaches the service: a write that fails is tried again, a reader that does not
 * read is not waited for, and what cannot be kept is dropped and counted in the log. A line is never torn: a
 * file that was full goes on where it stopped.
 */
import { fstatSync, openSync, write } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { CommandError, ExitCode, errorCode } from '../errors.ts';
import type { Logger } from '../log.ts';

/** Bytes of records that may wait for a reader that does not read; beyond that records are dropped and counted. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** Milliseconds until a write that failed is tried again: a disk that is full, a reader that is restarted. */
const RETRY_MS = 1_000;
/** Milliseconds that the end of the process waits for what is not written yet. */
const FLUSH_MS = 1_000;
/** Bytes handed to the kernel at once. */
const BATCH_BYTES = 64 * 1024;

export interface AuditSink extends AsyncDisposable {
  write(record: Record<string, unknown>): void;
}

/** Writes some of the bytes, and tells how many. */
type Target = (bytes: Buffer, done: (error: Error | null, written: number) => void) => void;

/** Opens the stream. Throws {@link CommandError} where the file cannot be opened: nothing is served without audit. */
export function openAuditSink(path: string | undefined, stdout: Writable, log: Logger): AuditSink {
  if (path === undefined) {
    // A pipe may stall, so it is written without blocking; a file cannot, and has no such stream.
    const stat = fstatSync(1);
    return stat.isFIFO() || stat.isSocket()
      ? new QueuedSink(streamTarget(stdout), log, () => abandon(stdout))
      : new QueuedSink(fileTarget(1), log);
  }
  try {
    return new QueuedSink(fileTarget(openSync(path, 'a', 0o600)), log);
  } catch (error) {
    throw new CommandError(
      `audit.path: ${path} cannot be opened: ${errorCode(error)} (mount a folder that this user may write, or leave audit.path out for stdout)`,
      ExitCode.usage,
    );
  }
}

function fileTarget(fd: number): Target {
  return (bytes, done) => write(fd, bytes, done);
}

function streamTarget(stream: Writable): Target {
  // Each write hears of its error; without a listener the first would end the process.
  stream.on('error', () => {});
  return (bytes, done) => {
    stream.write(bytes, (error) => done(error ?? null, bytes.length));
  };
}

/**
 * Lets the process end although the stream still holds what nobody reads. Node's own streams for stdout do nothing
 * when they are destroyed, so that of a socket is called in its place.
 */
function abandon(stream: Writable): void {
  if (stream instanceof Socket) Socket.prototype._destroy.call(stream, null, () => {});
}

class QueuedSink implements AuditSink {
  readonly #target: Target;
  readonly #log: Logger;
  readonly #abandon: () => void;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #writing = false;
  #retry: NodeJS.Timeout | undefined;
  #failed = false;
  #dropped = 0;
  #idle: () => void = () => {};

  constructor(target: Target, log: Logger, abandon: () => void = () => {}) {
    this.#target = target;
    this.#log = log;
    this.#abandon = abandon;
  }

  write(record: Record<string, unknown>): void {
    const line = Buffer.from(`${JSON.stringify(record)}\n`);
    if (this.#waitingBytes + line.length > MAX_WAITING_BYTES) {
      this.#dropped += 1;
      // Powers of two: the log learns of it at once and is not flooded in turn.
      if ((this.#dropped & (this.#dropped - 1)) === 0)
        this.#log.error({ dropped: this.#dropped }, 'audit records were dropped: the stream takes no more');
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    this.#pump();
  }

  /** Waits a moment for what is not written yet, and says how much is lost. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#waitingBytes > 0) {
      clearTimeout(this.#retry);
      this.#retry = undefined;
      this.#pump();
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
        setTimeout(resolve, FLUSH_MS);
      });
    }
    clearTimeout(this.#retry);
    if (this.#waitingBytes > 0 || this.#dropped > 0) {
      this.#log.error(
        { bytes: this.#waitingBytes, dropped: this.#dropped },
        'the last audit records could not be written',
      );
      this.#abandon();
    }
  }

  #pump(): void {
    if (this.#writing || this.#retry !== undefined || this.#waitingBytes === 0) return;
    this.#writing = true;
    this.#target(this.#batch(), (error, written) => {
      this.#writing = false;
      if (error === null) this.#wrote(written);
      else this.#fail(error);
    });
  }

  /** What is to be written next, joined into one buffer that stays at the head of the queue until it is written. */
  #batch(): Buffer {
    let count = 0;
    for (let bytes = 0; count < this.#waiting.length && bytes < BATCH_BYTES; count++)
      bytes += this.#waiting[count]?.length ?? 0;
    const batch = Buffer.concat(this.#waiting.splice(0, count));
    this.#waiting.unshift(batch);
    return batch;
  }

  #wrote(written: number): void {
    const [head] = this.#waiting;
    if (head !== undefined) {
      if (written < head.length) this.#waiting[0] = head.subarray(written);
      else this.#waiting.shift();
      this.#waitingBytes -= written;
    }
    if (this.#failed) {
      this.#failed = false;
      this.#log.warn({ dropped: this.#dropped }, 'the audit stream is written again');
    }
    if (this.#waitingBytes === 0) this.#idle();
    else this.#pump();
  }

  #fail(error: Error): void {
    if (!this.#failed) {
      this.#failed = true;
      this.#log.error({ code: errorCode(error) }, 'the audit stream cannot be written; trying again');
    }
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#pump();
    }, RETRY_MS).unref();
  }
}
