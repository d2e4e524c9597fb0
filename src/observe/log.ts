import type { Writable } from 'node:stream';
import type { Logger } from 'pino';
import { pino } from 'pino';
import type { LogLevel } from '../domain/log-level.ts';
import { LineWriter, standardTarget } from './line-writer.ts';
import { logText } from './log-text.ts';

export type { Logger } from 'pino';

/** Bytes of lines that may wait for a reader that does not read; beyond that lines are dropped and counted. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** Characters of a text, and entries of a list, that a line shows: names come from peers and from Secrets. */
const MAX_TEXT = 512;
const MAX_ENTRIES = 20;
/** Levels of nesting that are shortened; deeper ones are left out. */
const MAX_DEPTH = 6;
/** Characters of a stack: about twenty frames. */
const MAX_STACK = 2_048;

/** The log of a process. Disposing it waits, for a bounded time, until its last lines are written. */
export type ProcessLog = Logger & AsyncDisposable;

/**
 * The log: one JSON object a line on stderr, or a text with `forPerson`. stdout belongs to the audit and to a command's result.
 * Nothing waits for it to be written; dispose it last, so that the line that explains an exit is there when the
 * process is gone. Where the process ends without that, what stderr takes at once is still written.
 */
export function createLog(
  options: { level: LogLevel; relaxed?: boolean; forPerson?: { colour: boolean } },
  stderr: Writable = process.stderr,
): ProcessLog {
  const writer = new LineWriter(standardTarget(2, stderr), {
    maxWaitingBytes: MAX_WAITING_BYTES,
    // Other trouble is over by the time it could be read.
    onTrouble: (trouble) => {
      if (trouble.kind === 'written-again' && trouble.dropped > 0)
        log.warn({ dropped: trouble.dropped }, 'log lines were dropped: the stream took no more');
    },
  });
  const log = pino(
    {
      level: options.level,
      // Without the resolver's own pid: a fact of that name is the caller's, and one name twice is no JSON for many stores.
      base: options.relaxed === true ? { relaxed: true } : {},
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (facts) => shortened(facts, 0) as Record<string, unknown>,
      },
      serializers: { err: serializeError },
    },
    {
      write: (line) => {
        // Lines that explain an exit: a few in the life of a process.
        const { forPerson } = options;
        const shown = forPerson === undefined ? line : logText(line, forPerson.colour);
        writer.write(shown, line.startsWith('{"level":"fatal"'));
      },
    },
  );
  // For an error that nobody catches, and for what is logged after the disposal.
  process.on('exit', () => writer.flushNow(2));
  return Object.assign(log, { [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose]() });
}

/** The same facts with long texts cut and long lists counted. Errors are left to their serializer. */
function shortened(value: unknown, depth: number): unknown {
  if (typeof value === 'string')
    return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}… (${value.length} characters)` : value;
  if (typeof value !== 'object' || value === null || value instanceof Error) return value;
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) {
    const shown = value.slice(0, MAX_ENTRIES).map((entry) => shortened(entry, depth + 1));
    return value.length > shown.length ? [...shown, `… and ${value.length - shown.length} more`] : shown;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, entry]) => [name, shortened(entry, depth + 1)]),
  );
}

/** Name, code, message and stack of an error: no enumerable extras, which libraries fill with content. */
function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { name: typeof error };
  const code = (error as NodeJS.ErrnoException).code;
  return {
    name: error.name,
    message: shortened(error.message, 0),
    ...(code === undefined ? {} : { code }),
    ...(error.stack === undefined ? {} : { stack: error.stack.slice(0, MAX_STACK) }),
    ...(error.cause === undefined ? {} : { cause: serializeError(error.cause) }),
  };
}
