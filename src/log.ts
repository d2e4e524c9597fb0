import type { Logger } from 'pino';
import { pino } from 'pino';

export type { Logger } from 'pino';

/** Levels of the log, quietest last. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * The log: one JSON object a line on stderr. stdout belongs to the audit and to a command's result.
 * Writing is synchronous, so that the line that explains an exit is there when the process is gone.
 */
export function createLog(options: { level: LogLevel; relaxed?: boolean }): Logger {
  const stderr = pino.destination({ dest: 2, sync: true });
  // A log that cannot be written (a full disk, a reader that is gone) must not end the service; nobody can be told.
  stderr.on('error', () => {});
  return pino(
    {
      level: options.level,
      base: { pid: process.pid, ...(options.relaxed === true ? { relaxed: true } : {}) },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError },
    },
    stderr,
  );
}

/** Name, code, message and stack of an error: no enumerable extras, which libraries fill with content. */
function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { name: typeof error };
  const code = (error as NodeJS.ErrnoException).code;
  return {
    name: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined ? {} : { cause: serializeError(error.cause) }),
  };
}
