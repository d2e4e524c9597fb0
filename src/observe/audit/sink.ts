/**
 * Where audit records go: one JSON object a line, on stdout or appended to a file. Trouble with the stream never
 * reaches the service, and the log tells of it.
 */
import { openSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { CommandError, ExitCode, errorCode } from '../../domain/errors.ts';
import {
  fileTarget,
  type LineTrouble,
  LineWriter,
  standardTarget,
  type WriterState,
} from '../line-writer.ts';
import type { Logger } from '../log.ts';

/** Bytes of records that may wait for a reader that does not read; beyond that records are dropped and counted. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;

export interface AuditSink extends AsyncDisposable {
  /** Takes one record as JSON, with its line break. */
  write(line: string): void;
  /** Without it, the stream takes whatever comes. */
  readonly state?: WriterState;
}

const MESSAGES: Readonly<Record<LineTrouble['kind'], string>> = {
  dropped: 'audit records were dropped: the stream takes no more',
  failing: 'the audit stream cannot be written; trying again',
  'written-again': 'the audit stream is written again',
  lost: 'the last audit records could not be written',
};

/** For a laptop's terminal, where records would be mixed with the log. */
export const NO_SINK: AuditSink = { write: () => {}, [Symbol.asyncDispose]: () => Promise.resolve() };

/** Opens the stream. Throws {@link CommandError} where the file cannot be opened: nothing is served without audit. */
export function openAuditSink(path: string | undefined, stdout: Writable, log: Logger): AuditSink {
  const target = path === undefined ? standardTarget(1, stdout) : fileTarget(opened(path));
  return new LineWriter(target, {
    maxWaitingBytes: MAX_WAITING_BYTES,
    onTrouble: ({ kind, ...facts }) =>
      log[kind === 'written-again' ? 'warn' : 'error'](facts, MESSAGES[kind]),
  });
}

function opened(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (error) {
    throw new CommandError(
      `audit.path: ${path} cannot be opened: ${errorCode(error)} (mount a folder that this user may write, or leave audit.path out for stdout)`,
      ExitCode.usage,
    );
  }
}
